//! Tests of entries and their descriptions.

use super::*;

pub(crate) fn meta(release: &str) -> Meta {
    Meta {
        version: META_VERSION,
        spec: "7.3".into(),
        release: release.into(),
        origin: Origin::Packages(vec![("linux-image".into(), "7.3.4-1".into())]),
        source_hash: "0".repeat(64),
        config_hash: Some("1".repeat(64)),
        tools: BTreeMap::new(),
        btf: BtfHealth::Sound,
        features: [("SCHED_CLASS_EXT".to_owned(), true)].into(),
        symbols: None,
        warnings: Vec::new(),
    }
}

fn kernel(config: Option<&str>) -> (tempfile::TempDir, Kernel) {
    let dir = tempfile::tempdir().unwrap();
    let mut meta = meta("6.12.95-cloud");
    meta.features.insert("SCHED_CLASS_EXT".into(), false);
    match config {
        Some(text) => fs::write(dir.path().join("config"), text).unwrap(),
        None => meta.config_hash = None,
    }
    meta.write(dir.path()).unwrap();
    let kernel = Kernel::load("x", dir.path()).unwrap().unwrap();
    (dir, kernel)
}

#[test]
fn a_description_survives_a_round_trip() {
    let (_dir, kernel) = kernel(None);
    assert_eq!(Kernel::load("x", &kernel.dir).unwrap(), Some(kernel));
}

#[test]
fn another_format_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("meta.json"), r#"{"version": 99}"#).unwrap();
    assert_eq!(Kernel::load("x", dir.path()).unwrap(), None);
    fs::write(dir.path().join("meta.json"), "{").unwrap();
    assert!(matches!(Kernel::load("x", dir.path()), Err(Error::Meta { .. })));
}

#[test]
fn what_is_lacking_is_named() {
    let (_dir, kernel) = kernel(Some("CONFIG_KPROBES=y\nCONFIG_NET=m\n"));
    assert!(kernel.option("KPROBES") && !kernel.option("CONFIG_NET") && !kernel.option("SCHED_CLASS_EXT"));
    assert_eq!(kernel.option_value("CONFIG_NET").as_deref(), Some("m"));
    kernel.require(&["CONFIG_KPROBES"]).unwrap();
    let message = kernel.require(&["SCHED_CLASS_EXT", "KPROBES", "CONFIG_NET"]).unwrap_err().to_string();
    assert!(message.starts_with("kernel 6.12.95-cloud lacks CONFIG_SCHED_CLASS_EXT, CONFIG_NET:"), "{message}");
}

#[test]
fn an_unknown_configuration_is_no_consent() {
    let (_dir, kernel) = kernel(None);
    assert!(!kernel.option("KPROBES"));
    assert!(matches!(kernel.require(&["KPROBES"]), Err(Error::ConfigUnknown { .. })));
    assert!(matches!(kernel.require(&["KPROBES", "SCHED_CLASS_EXT"]), Err(Error::Lacks { .. })));
}
