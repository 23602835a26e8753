//! Rules of style that a machine can check. Comments and the insides of literals don't count.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::{Path, PathBuf};

/// What files under some folders may not say.
struct Ban {
    name: &'static str,
    /// Prefixes of the paths it holds for.
    within: &'static [&'static str],
    /// Prefixes of the paths it doesn't hold for.
    except: &'static [&'static str],
    words: &'static [&'static str],
}

const PURE: &[&str] = &["src/core/", "src/model/"];

const BANS: &[Ban] = &[
    Ban {
        name: "the core and the nouns know no I/O and no database",
        within: PURE,
        except: &[],
        words: &[
            "tokio",
            "tonic",
            "rumqttc",
            "rumqttd",
            "rusqlite",
            "tokio_postgres",
            "deadpool_postgres",
            "deadpool",
            "refinery",
            "axum",
            "rustix",
            "std::fs",
            "std::net",
            "std::env",
            "std::thread",
            "std::process",
            "println!",
            "eprintln!",
        ],
    },
    Ban {
        name: "the core and the nouns read no clock and draw no random numbers",
        within: PURE,
        except: &[],
        words: &["SystemTime", "Instant", "::now(", "crate::clock", "Clock", "thread_rng", "rand", "rand_chacha"],
    },
    Ban {
        name: "protobuf stays at the core's edge",
        within: PURE,
        except: &["src/core/decode", "src/core/snapshot"],
        words: &["prost", "prost_types", "crate::proto", "serde_json"],
    },
    Ban {
        name: "serde stays at the core's edge",
        within: PURE,
        except: &["src/core/decode", "src/core/snapshot", "src/core/rules", "src/core/tables"],
        words: &["serde", "toml"],
    },
    Ban { name: "a test is run or isn't there", within: &["src/", "tests/"], except: &[], words: &["#[ignore"] },
    Ban {
        name: "nothing is left to do",
        within: &["src/", "tests/", "benches/"],
        except: &[],
        words: &["todo!", "unimplemented!"],
    },
    Ban {
        // What another process does can only be asked for again and again, with a pause: in one place.
        name: "tests await conditions, they don't sleep",
        within: &["tests/"],
        except: &["tests/support/wait.rs"],
        words: &["thread::sleep", "time::sleep"],
    },
];

const FILE_LINES_MAX: usize = 600;

fn findings(path: &str, text: &str) -> Vec<String> {
    let code = code_of(text);
    let mut found = Vec::new();
    for ban in BANS {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| path.starts_with(prefix));
        if !starts(ban.within) || starts(ban.except) {
            continue;
        }
        for (line, content) in code.lines().enumerate() {
            let words = ban.words.iter().filter(|word| says(content, word));
            found.extend(words.map(|word| format!("{path}:{}: {word}: {}", line + 1, ban.name)));
        }
    }
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        found.push(format!("{path}: {lines} lines: split it, {FILE_LINES_MAX} are the most"));
    }
    found
}

/// Whether `line` holds `word` with nothing of a longer name around it.
fn says(line: &str, word: &str) -> bool {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(of_name) && word.starts_with(of_name);
        let after = line[at + word.len()..].chars().next().is_some_and(of_name) && word.ends_with(of_name);
        !before && !after
    })
}

/// `text` with comments and the insides of literals left out, line for line.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !code.ends_with(|c: char| c.is_alphanumeric() || c == '_') => raw_string(rest),
            '\'' => char_literal(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
            rest = &rest[skipped..];
        }
    }
    code
}

fn block_comment(text: &str) -> usize {
    let mut depth = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            depth += 1;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            if depth == 0 {
                return at + 2;
            }
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// 0 where `text` doesn't begin with one.
fn raw_string(text: &str) -> usize {
    let Some(after_r) = text.trim_start_matches(['b', 'c']).strip_prefix('r') else { return 0 };
    let hashes = after_r.len() - after_r.trim_start_matches('#').len();
    let Some(body) = after_r[hashes..].strip_prefix('"') else { return 0 };
    let end = format!("\"{}", "#".repeat(hashes));
    body.find(&end).map_or(text.len(), |at| text.len() - body.len() + at + end.len())
}

/// 0 for a lifetime.
fn char_literal(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1),
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn the_tree_is_tidy() {
    let mut files = Vec::new();
    for folder in ["src", "tests", "benches"] {
        rust_files(&root().join(folder), &mut files);
    }
    files.sort();
    assert!(files.len() > 20, "only {} files were looked at", files.len());
    let mut found = Vec::new();
    for file in files {
        let path = file.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
        found.extend(findings(&path, &std::fs::read_to_string(&file).unwrap()));
    }
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

/// A file that no module declares is compiled by nobody, and so is checked by nobody.
#[test]
fn every_module_of_the_library_is_declared_and_there() {
    // The roots of the two libraries and of the program.
    let roots = ["lib", "pure", "main"];
    let texts = roots.map(|name| std::fs::read_to_string(root().join(format!("src/{name}.rs"))).unwrap());
    let declared: Vec<String> = code_of(&texts.join("\n"))
        .lines()
        .filter_map(|line| {
            line.trim().trim_start_matches("pub ").strip_prefix("mod ")?.strip_suffix(';').map(str::to_owned)
        })
        .collect();
    for module in &declared {
        let there = ["src/{}.rs", "src/{}/mod.rs"].iter().any(|form| root().join(form.replace("{}", module)).is_file());
        assert!(there, "{module} is declared, but there is no file");
    }
    for entry in std::fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let known = roots.iter().chain(&["build", "Cargo"]).any(|known| *known == name);
        assert!(known || declared.contains(&name), "nobody declares src/{name}");
    }
}

/// Each ban must find a text that breaks it, or it would guard nothing.
#[test]
fn every_ban_bites() {
    for ban in BANS {
        for folder in ban.within {
            for word in ban.words {
                let found = findings(&format!("{folder}canary.rs"), &format!("fn f() {{\n    {word}\n}}\n"));
                assert!(found.iter().any(|f| f.contains(ban.name) && f.contains(":2: ")), "{word} passes in {folder}");
            }
        }
        for folder in ban.except {
            let found = findings(&format!("{folder}/mod.rs"), ban.words[0]);
            assert!(!found.iter().any(|f| f.contains(ban.name)), "{} holds in {folder}", ban.name);
        }
    }
    assert_eq!(findings("src/canary.rs", &"//\n".repeat(FILE_LINES_MAX + 1)).len(), 1);
    assert_eq!(findings("src/canary.rs", &"//\n".repeat(FILE_LINES_MAX)), Vec::<String>::new());
}

#[test]
fn only_code_is_looked_at() {
    for (text, code) in [
        ("a // tokio\nb", "a \nb"),
        ("a /* x /* tokio */ y\n */ b", "a \n b"),
        ("f(\"tokio \\\" // x\") + g", "f() + g"),
        ("f(r#\"tokio \" x\"#, b\"tokio\", br\"x\")", "f(, b, )"),
        (
            "fn f<'a>(x: &'a str, c: char) { c == '\"' || c == '\\'' || c == '/' }",
            "fn f<'a>(x: &'a str, c: char) { c ==  || c ==  || c ==  }",
        ),
    ] {
        assert_eq!(code_of(text), code, "{text}");
    }
    assert_eq!(
        findings("src/core/x.rs", "use crate::tokio_like; let clock_offset = ClockOffset;"),
        Vec::<String>::new()
    );
}
