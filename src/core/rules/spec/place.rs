//! Where something stands in a file.

/// Line and column of a byte offset, both from 1, the column in characters.
pub fn line_and_column(text: &str, at: usize) -> (u32, u32) {
    let head = text.get(..at).unwrap_or(text);
    let line_start = head.rfind('\n').map_or(0, |newline| newline + 1);
    let line = head.bytes().filter(|b| *b == b'\n').count() + 1;
    let column = head[line_start..].chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

/// How far into a TOML string, quotes included, the byte `at` of its value was written.
pub(crate) fn within_string(raw: &str, at: usize) -> usize {
    let multiline = raw.starts_with("\"\"\"") || raw.starts_with("'''");
    let mut place = if multiline { 3 } else { 1 };
    if multiline {
        // A line break right after the opening quotes is not part of the value.
        let rest = raw.get(place..).unwrap_or_default();
        place += if rest.starts_with("\r\n") { 2 } else { usize::from(rest.starts_with('\n')) };
    }
    if raw.starts_with('\'') {
        return (place + at).min(raw.len());
    }
    let mut decoded = 0;
    while let Some((written, value)) = piece(raw.get(place..).unwrap_or_default()) {
        if decoded >= at && value > 0 {
            break;
        }
        place += written;
        decoded += value;
    }
    place
}

/// The lengths of the first character of a basic string, as written and as a value.
fn piece(rest: &str) -> Option<(usize, usize)> {
    let mut chars = rest.chars();
    let first = chars.next()?;
    if first != '\\' {
        return Some((first.len_utf8(), first.len_utf8()));
    }
    let escape = chars.next()?;
    let digits = match escape {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        c if c.is_whitespace() => {
            // A backslash at the end of a line swallows all white space that follows.
            let kept = rest[1..].trim_start_matches([' ', '\t', '\r', '\n']).len();
            return Some((rest.len() - kept, 0));
        }
        _ => return Some((1 + escape.len_utf8(), 1)),
    };
    let code = rest.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let value = code.and_then(char::from_u32).map_or(1, char::len_utf8);
    Some((2 + digits, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters() {
        assert_eq!(line_and_column("", 0), (1, 1));
        assert_eq!(line_and_column("中文 x\nab", "中文 ".len()), (1, 4));
        assert_eq!(line_and_column("中文 x\nab", "中文 x\na".len()), (2, 2));
        assert_eq!(line_and_column("ab", 99), (1, 3));
    }

    #[test]
    fn a_place_in_a_value_is_found_in_the_text_it_was_written_as() {
        for raw in [
            r#""a && X""#,
            r"'a && X'",
            r#""\u4e2d\t\"\\ X""#,
            r#""\U0001f600\x41X""#,
            "\"\"\"\na &&\n  X\"\"\"",
            "\"\"\"\r\na &&\r\n  X\"\"\"",
            "'''\na &&\n  X'''",
            "\"\"\"a && \\\n    X\"\"\"",
            "\"\"\"\\\n   \n  a \\\n\n  && X\"\"\"",
        ] {
            let value: toml::Table = format!("k = {raw}").parse().unwrap();
            let value = value["k"].as_str().unwrap();
            let at = value.find('X').unwrap();
            assert_eq!(within_string(raw, at), raw.rfind('X').unwrap(), "{raw}");
            assert!(within_string(raw, value.len() + 5) <= raw.len(), "{raw}");
        }
    }
}
