//! "Did you mean": the known word nearest to a misspelt one.

/// The nearest of `known`, if it is near enough to be meant: the first of equally near ones.
pub(in crate::core::rules) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    // A word of which nothing is left was not misspelt.
    let far = (length / 3 + 1).min(length.saturating_sub(1));
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        // Whoever leaves out the end of a long name means it all the same.
        let is_head = length > 3 && candidate.starts_with(word);
        // Each edit makes it longer or shorter by one at most.
        if !is_head && candidate.chars().count().abs_diff(length) > far {
            continue;
        }
        let distance = if is_head { 1 } else { distance(word, candidate) };
        if distance <= far && best.is_none_or(|(least, _)| distance < least) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map(|best| format!("; did you mean `{best}`?")).unwrap_or_default()
}

/// Edits, and swaps of neighbours, that make one word of the other.
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before = vec![0; right.len() + 1];
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut least = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && left[i - 1] == *b && *a == right[j - 1] {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["door", "door_zone", "floor", "car"];
        for (word, best) in [
            ("dor", Some("door")),
            ("dorzone", Some("door_zone")),
            ("odor", Some("door")),
            ("cra", Some("car")),
            ("zzz", None),
            ("r", None),
            ("door_", Some("door")),
            ("door_z", Some("door_zone")),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), best, "{word}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
