//! Layers and their order.

use super::*;

fn with_file(text: &str, layers: Layers) -> Result<Settings, Failure> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let common = CommonArgs {
        config: Some(file.path().to_owned()),
        data_dir: Some("/data".into()),
        ..CommonArgs::default()
    };
    Settings::load(common, layers)
}

#[test]
fn defaults_are_loopback() {
    let settings = with_file("", Layers::default()).unwrap();
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.node.listen.to_string(), "127.0.0.1:7000");
    assert_eq!(settings.log, "warn");
}

#[test]
fn the_file_is_over_the_defaults_and_flags_are_over_the_file() {
    let text = "log = \"info\"\n[http]\nlisten = \"127.0.0.1:1\"\n[node]\nlisten = \"127.0.0.1:2\"";
    let http = HttpLayer { listen: Some("127.0.0.1:3".parse().unwrap()), ..Default::default() };
    let settings = with_file(text, Layers { http, ..Layers::default() }).unwrap();
    assert_eq!(settings.http.listen.port(), 3);
    assert_eq!(settings.node.listen.port(), 2);
    assert_eq!(settings.log, "info");
}

#[test]
fn mistakes_in_the_file_are_named_with_their_line() {
    let text = "log = \"info\"\n[http]\nlisen = \"127.0.0.1:1\"";
    let failure = with_file(text, Layers::default()).unwrap_err().to_string();
    assert!(failure.contains("line 3") && failure.contains("lisen"), "{failure}");
    let failure = with_file("[link]\nfingerprint = \"xy\"", Layers::default()).unwrap_err();
    assert!(failure.to_string().contains("64 hexadecimal digits"), "{failure}");
}

#[test]
fn half_a_certificate_is_refused() {
    let failure = with_file("[node]\nkey = \"k.pem\"", Layers::default()).unwrap_err();
    assert!(failure.to_string().contains("go together"), "{failure}");
}

#[test]
fn fingerprints_parse_with_and_without_colons() {
    let plain: Fingerprint = "ab".repeat(32).parse().unwrap();
    let colons: Fingerprint = ["AB"; 32].join(":").parse().unwrap();
    assert_eq!(plain, colons);
    assert!("abc".parse::<Fingerprint>().is_err());
}

#[test]
fn operators_are_answered_on_loopback_unless_said_otherwise() {
    let public = "[node]\nops_listen = \"0.0.0.0:7001\"";
    let failure = with_file(public, Layers::default()).unwrap_err().to_string();
    assert!(failure.contains("0.0.0.0:7001") && failure.contains("ops_public"), "{failure}");
    let said = format!("{public}\nops_public = true");
    assert!(with_file(&said, Layers::default()).unwrap().node.ops_listen.is_some());
    assert!(with_file("", Layers::default()).unwrap().node.ops_listen.is_none());
}

#[test]
fn sizes_have_units() {
    let of = |text| with_file(text, Layers::default()).unwrap().node.min_free_disk;
    assert_eq!(of(""), None);
    assert_eq!(of("[node]\nmin_free_disk = \"1 GiB\"").unwrap().as_u64(), 1 << 30);
    assert_eq!(of("[node]\nmin_free_disk = 0").unwrap().as_u64(), 0);
    let failure = with_file("[node]\nmin_free_disk = \"lots\"", Layers::default()).unwrap_err();
    assert!(failure.to_string().contains("line 2"), "{failure}");
}
