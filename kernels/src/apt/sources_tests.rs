//! Tests of reading and rewriting package sources.

use super::*;

const DEB822: &str = "\
# comment
Types: deb deb-src
# another
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
";

fn rewritten(entries: Vec<Entry>) -> Option<String> {
    rewrite(&entries)
}

#[test]
fn rewrites_deb822_entries_for_the_kernel_suites() {
    let text = rewritten(parse_deb822(DEB822)).unwrap();
    assert_eq!(
        text,
        "Types: deb\nURIs: http://mirror.example/debian\n\
         Suites: bookworm bookworm-backports trixie trixie-backports sid\nComponents: main\n\
         Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    );
    assert_eq!(suites_of(&text), ["bookworm", "bookworm-backports", "sid", "trixie", "trixie-backports"]);
}

#[test]
fn rewrites_one_line_entries() {
    let lines = "# deb http://no.example/debian bookworm main\n\
                 deb [arch=amd64 signed-by=/k/debian-archive-keyring.gpg] https://m.example/debian trixie main # x\n\
                 deb-src https://m.example/debian trixie main\n\
                 deb http://m.example/debian-security bookworm-security main\n";
    let text = rewritten(parse_lines(lines)).unwrap();
    assert!(text.starts_with(
        "Types: deb\nURIs: https://m.example/debian\nSuites: trixie bookworm-backports trixie-backports sid\n"
    ));
    assert!(text.ends_with("Signed-By: /k/debian-archive-keyring.gpg\n"), "{text}");
    assert_eq!(text.matches("URIs").count(), 1);
}

#[test]
fn one_place_is_asked_once() {
    let lines = "deb http://m.example/debian bookworm main\ndeb http://m.example/debian bookworm-updates main\n";
    assert_eq!(rewritten(parse_lines(lines)).unwrap().matches("URIs").count(), 1);
}

#[test]
fn keeps_a_key_that_is_written_out() {
    let text = "Types: deb\nURIs: http://m.example/debian\nSuites: sid\nComponents: main\nSigned-By:\n \
                -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n";
    let text = rewritten(parse_deb822(text)).unwrap();
    assert!(text.contains("Signed-By: \n -----BEGIN PGP"), "{text}");
    assert!(text.ends_with(" -----END PGP PUBLIC KEY BLOCK-----\n"));
}

#[test]
fn leaves_third_parties_alone() {
    let lines = "deb [signed-by=/k/vendor.gpg] http://vendor.example/apt bookworm main\n\
                 deb http://vendor.example/apt cloud-sdk-bookworm main\n\
                 deb http://docker.example/linux/debian bookworm stable\n\
                 deb http://ubuntu.example/ubuntu noble main\n";
    assert_eq!(rewritten(parse_lines(lines)), None);
}

#[test]
fn reads_both_kinds_of_file() {
    let etc = tempfile::tempdir().unwrap();
    fs::create_dir(etc.path().join("sources.list.d")).unwrap();
    fs::write(etc.path().join("sources.list"), "deb http://a.example/debian sid main\n").unwrap();
    fs::write(etc.path().join("sources.list.d/debian.sources"), DEB822).unwrap();
    fs::write(etc.path().join("sources.list.d/old.save"), "deb http://b.example/debian sid main\n").unwrap();
    let uris: Vec<String> = read(etc.path()).into_iter().map(|entry| entry.uris).collect();
    assert_eq!(
        uris,
        ["http://a.example/debian", "http://mirror.example/debian", "http://mirror.example/debian-security"]
    );
    assert!(read(Path::new("/nonexistent")).is_empty());
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "[ -~\n\t\\[\\]:#=]{0,200}") {
        rewrite(&parse_deb822(&text));
        rewrite(&parse_lines(&text));
        rewrite(&parse_lines(&format!("deb {text}")));
    }
}
