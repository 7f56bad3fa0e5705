//! Tables of metrics, from a page in the text format of `OpenMetrics`.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, head, row};

/// Most values of a label that are all named.
const NAMED: usize = 6;

/// What a page says of one metric.
#[derive(Default)]
struct Family {
    name: String,
    kind: String,
    help: String,
    labels: BTreeMap<String, BTreeSet<String>>,
    order: Vec<String>,
}

/// The metrics of a page in its order.
pub(super) fn table(page: &str) -> String {
    let mut families: Vec<Family> = Vec::new();
    for line in page.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|x| x.split_once(' ')) {
            let help = help.trim_end_matches('.').to_owned();
            families.push(Family { name: name.to_owned(), help, ..Family::default() });
        } else if let Some((_, kind)) = line.strip_prefix("# TYPE ").and_then(|x| x.split_once(' '))
        {
            if let Some(family) = families.last_mut() {
                kind.clone_into(&mut family.kind);
            }
        } else if let Some((_, rest)) = line.split_once('{')
            && let Some((labels, _)) = rest.rsplit_once('}')
            && let Some(family) = families.last_mut()
        {
            for (name, value) in labels.split(',').filter_map(|label| label.split_once('=')) {
                if name == "le" {
                    continue;
                }
                if !family.order.iter().any(|known| known == name) {
                    family.order.push(name.to_owned());
                }
                let values = family.labels.entry(name.to_owned()).or_default();
                values.insert(value.trim_matches('"').to_owned());
            }
        }
    }
    let mut table = head(&["metric", "type", "labels", "meaning"]);
    for family in &families {
        let labels = family.order.iter().map(|name| {
            let values = &family.labels[name];
            if (2..=NAMED).contains(&values.len()) {
                let values: Vec<_> = values.iter().map(|value| code(value)).collect();
                format!("{}: {}", code(name), values.join(", "))
            } else {
                code(name)
            }
        });
        let labels = labels.collect::<Vec<_>>().join("; ");
        table += &row(&[&code(&family.name), &family.kind, &labels, &family.help]);
    }
    table
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_page_becomes_a_table() {
        let page = "# HELP a_rows Rows, by how.\n# TYPE a_rows counter\na_rows_total{by=\"x\"} 1\n\
                    a_rows_total{by=\"y\"} 1\n# HELP a_s Time.\n# TYPE a_s histogram\n\
                    a_s_bucket{m=\"z\",le=\"1\"} 0\n# EOF\n";
        let table = super::table(page);
        assert!(
            table.contains("| `a_rows` | counter | `by`: `x`, `y` | Rows, by how |"),
            "{table}"
        );
        assert!(table.contains("| `a_s` | histogram | `m` | Time |"), "{table}");
        assert_eq!(table.lines().count(), 4);
    }
}
