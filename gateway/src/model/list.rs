//! Lists: a page of items and where the next page begins.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::limit;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;

/// The longest id or name.
const MAX_CURSOR: usize = 64;

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

/// Which part of a list that is short as a rule.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// Only what comes after this cursor: the `next` of the page before.
    #[param(pattern = "^[0-9A-Za-z._-]{1,64}$", example = "bot_1f0c9a77e03b5d42")]
    after: Option<String>,
    /// At most so many, 1 to 1,000, in the order of their ids or names. Without `limit` and `after`
    /// the list is whole.
    #[param(minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<u32>,
}

impl PageParams {
    /// The list at a path, whole as it comes, or a page of it; each item with its id or name. What
    /// is added or removed between two pages moves nothing else.
    ///
    /// # Errors
    /// `RequestInvalid`.
    pub(crate) fn reply<T>(
        &self,
        path: &str,
        items: impl IntoIterator<Item = (String, T)>,
    ) -> Result<Reply<List<T>>, Problem> {
        let items = items.into_iter();
        if self.after.is_none() && self.limit.is_none() {
            return Ok(Reply::ok(List::whole(items.map(|(_, item)| item))));
        }
        let limit = limit(self.limit, 100, 1000)? as usize;
        let after = self.after.as_deref().unwrap_or_default();
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let is_cursor = (1..=MAX_CURSOR).contains(&after.len()) && after.bytes().all(known);
        if self.after.is_some() && !is_cursor {
            return Err(Problem::new(Kind::CursorInvalid).at("after", "not a cursor of this list"));
        }
        let mut items: Vec<_> = items.filter(|(id, _)| id.as_str() > after).collect();
        items.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|(id, _)| id.clone());
        let link = next.as_ref().map(|next| format!("{path}?after={next}&limit={limit}"));
        let items = items.into_iter().map(|(_, item)| item).collect();
        Ok(Reply::ok(List { items, next }).next_page(link))
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use http::header::LINK;

    use super::*;

    fn page(after: Option<&str>, limit: Option<u32>) -> (Vec<u32>, Option<String>) {
        let params = PageParams { after: after.map(str::to_owned), limit };
        let items = [("c", 3), ("a", 1), ("b", 2)].map(|(id, item)| (id.to_owned(), item));
        let reply = params.reply("/v1/x", items).unwrap();
        let List { items, next } = reply.body().clone();
        let link = reply.into_response().headers().get(LINK).cloned();
        assert_eq!(link.is_some(), next.is_some());
        (items, next)
    }

    #[test]
    fn a_list_is_whole_unless_pages_are_asked_for() {
        assert_eq!(page(None, None), (vec![3, 1, 2], None));
        assert_eq!(page(None, Some(2)), (vec![1, 2], Some("b".to_owned())));
        assert_eq!(page(Some("b"), Some(2)), (vec![3], None));
        assert_eq!(page(Some("_"), None), (vec![1, 2, 3], None));
        assert_eq!(page(Some("aa"), Some(1)), (vec![2], Some("b".to_owned())));
        for (after, limit) in [(None, Some(0)), (Some(""), None), (Some("a b"), Some(1))] {
            let bad = PageParams { after: after.map(str::to_owned), limit };
            assert!(bad.reply("/v1/x", [("a".to_owned(), 1)]).is_err(), "{bad:?}");
        }
    }
}
