//! Lists: a page of items and where the next page begins.

use serde::Serialize;
use utoipa::ToSchema;

/// A page of items.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Where the next page begins; `null` at the end. Also in the `Link` header.
    #[schema(required = true)]
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A list that is complete.
    pub(crate) fn whole(items: impl IntoIterator<Item = T>) -> Self {
        Self { items: items.into_iter().collect(), next: None }
    }
}
