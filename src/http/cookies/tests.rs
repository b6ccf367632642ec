//! The rules of cookies, one after another, and floods of them.

use super::*;
use crate::http::head::tests::head;
use proptest::prelude::*;

const NOW: u64 = 1_700_000_000;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn hear(cookies: &mut Cookies, from: &str, fields: &[&str]) -> bool {
    let fields: Vec<(&str, &str)> = fields.iter().map(|field| ("set-cookie", *field)).collect();
    cookies.hear(&url(from), &head(200, &fields), NOW)
}

fn sent(cookies: &Cookies, to: &str) -> String {
    cookies.field(&url(to), NOW, &[]).unwrap_or_default()
}

/// What goes to `to` after `from` has set `field`.
fn after(from: &str, field: &str, to: &str) -> String {
    let mut cookies = Cookies::default();
    hear(&mut cookies, from, &[field]);
    sent(&cookies, to)
}

#[test]
fn domains_rfc_6265_section_5_3() {
    for (from, field, to, goes) in [
        ("http://h.example/", "a=b", "http://h.example/", true),
        ("http://h.example/", "a=b", "http://h.example:8080/", true),
        ("http://h.example/", "a=b", "http://x.h.example/", false),
        ("http://h.example/", "a=b", "http://example/", false),
        ("http://x.h.example/", "a=b; Domain=h.example", "http://h.example/", true),
        ("http://x.h.example/", "a=b; Domain=.H.Example", "http://y.h.example/", true),
        ("http://x.h.example/", "a=b; Domain=h.example", "http://xh.example/", false),
        ("http://x.h.example/", "a=b; Domain=y.h.example", "http://y.h.example/", false),
        ("http://x.h.example/", "a=b; Domain=other.example", "http://other.example/", false),
        ("http://h.example/", "a=b; Domain=", "http://h.example/", true),
        ("http://h.example/", "a=b; Domain=", "http://x.h.example/", false),
        ("http://127.0.0.1/", "a=b", "http://127.0.0.1/", true),
        ("http://127.0.0.1/", "a=b; Domain=127.0.0.1", "http://127.0.0.1/", true),
        ("http://127.0.0.1/", "a=b; Domain=0.0.1", "http://127.0.0.1/", false),
        ("http://[::1]/", "a=b", "http://[::1]/", true),
        ("http://localhost/", "a=b; Domain=localhost", "http://localhost/", true),
    ] {
        let expected = if goes { "a=b" } else { "" };
        assert_eq!(after(from, field, to), expected, "{field} of {from} to {to}");
    }
}

#[test]
fn nobody_speaks_for_a_public_suffix() {
    for domain in ["co.uk", "com", "github.io", "uk", "internal"] {
        let field = format!("a=b; Domain={domain}");
        let from = format!("http://me.{domain}/");
        assert_eq!(after(&from, &field, &format!("http://you.{domain}/")), "", "{domain}");
        assert_eq!(after(&from, &field, &from), "", "{domain}");
    }
    // Who is a public suffix itself may have cookies of its own.
    let field = "a=b; Domain=github.io";
    assert_eq!(after("http://github.io/", field, "http://github.io/"), "a=b");
    assert_eq!(after("http://github.io/", field, "http://me.github.io/"), "");
    let field = "a=b; Domain=example.co.uk";
    assert_eq!(after("http://x.example.co.uk/", field, "http://example.co.uk/"), "a=b");
}

#[test]
fn paths_rfc_6265_section_5_1_4() {
    for (from, field, to, goes) in [
        ("http://h/a/b?q=/x/", "a=b", "http://h/a/c", true),
        ("http://h/a/b", "a=b", "http://h/a", true),
        ("http://h/a/b", "a=b", "http://h/", false),
        ("http://h/a", "a=b", "http://h/z", true),
        ("http://h/a/b", "a=b; Path=/", "http://h/z", true),
        ("http://h/a/b", "a=b; Path=/z", "http://h/z?q", true),
        ("http://h/a/b", "a=b; Path=/z", "http://h/zz", false),
        ("http://h/a/b", "a=b; Path=/z/", "http://h/z", false),
        ("http://h/a/b", "a=b; Path=z", "http://h/a/z", true),
        ("http://h/a/b", "a=b; Path=", "http://h/z", false),
    ] {
        let expected = if goes { "a=b" } else { "" };
        assert_eq!(after(from, field, to), expected, "{field} of {from} to {to}");
    }
}

#[test]
fn secure_cookies_and_prefixes() {
    for (from, field, to, goes) in [
        ("https://h/", "a=b; Secure", "https://h/", true),
        ("https://h/", "a=b; Secure", "http://h/", false),
        ("http://h/", "a=b; Secure", "https://h/", false),
        ("https://h/", "a=b", "http://h/", true),
        ("https://h/", "__Secure-a=b; Secure", "https://h/", true),
        ("https://h/", "__secure-a=b", "https://h/", false),
        ("https://h/", "__Host-a=b; Secure; Path=/", "https://h/", true),
        ("https://h/", "__Host-a=b; Secure", "https://h/", false),
        ("https://h/", "__Host-a=b; Secure; Path=/x", "https://h/x", false),
        (
            "https://h.example/",
            "__Host-a=b; Secure; Path=/; Domain=h.example",
            "https://h.example/",
            false,
        ),
        ("http://h/", "__Host-a=b; Path=/", "http://h/", false),
        ("http://h/", "__Secure-a; Path=/", "http://h/", false),
        ("http://h/", "=__Host-a=b", "http://h/", false),
    ] {
        assert_eq!(!after(from, field, to).is_empty(), goes, "{field} of {from} to {to}");
    }
    let mut cookies = Cookies::default();
    hear(&mut cookies, "https://h/", &["a=safe; Secure"]);
    assert!(!hear(&mut cookies, "http://h/", &["a=forged"]), "plain http does not get over it");
    assert!(hear(&mut cookies, "https://h/", &["a=new"]));
}

#[test]
fn cookies_are_replaced_removed_and_end() {
    let mut cookies = Cookies::default();
    assert!(hear(&mut cookies, "http://h/", &["a=1", "b=2; Path=/x", "c=3; Max-Age=10"]));
    assert_eq!(sent(&cookies, "http://h/x"), "b=2; a=1; c=3", "longer paths first, then age");
    assert!(!hear(&mut cookies, "http://h/", &["a=1"]), "nothing new");
    assert!(hear(&mut cookies, "http://h/", &["a=9"]));
    assert_eq!(sent(&cookies, "http://h/"), "a=9; c=3", "it keeps its age");
    assert_eq!(cookies.field(&url("http://h/"), NOW + 10, &[]).as_deref(), Some("a=9"));
    assert_eq!(cookies.all(NOW + 10).count(), 2);
    assert_eq!(cookies.field(&url("http://h/"), NOW, &["a"]).as_deref(), Some("c=3"));
    assert!(hear(&mut cookies, "http://h/", &["a=; Max-Age=0", "z=; Max-Age=0"]));
    assert_eq!(sent(&cookies, "http://h/"), "c=3");
    assert!(cookies.concern("h") && !cookies.concern("x.h") || cookies.concern("x.h"));
    assert!(!cookies.concern("other") && cookies.count() == 2);
    assert_eq!(after("http://h/", "alone", "http://h/"), "alone");
}

#[test]
fn floods_have_an_end() {
    let mut cookies = Cookies::default();
    hear(&mut cookies, "http://other.example/", &["keep=me"]);
    for number in 0..2 * COOKIES_PER_DOMAIN_MAX {
        hear(&mut cookies, "http://h.example/", &[&format!("n{number}=x")]);
    }
    assert_eq!(cookies.count(), COOKIES_PER_DOMAIN_MAX + 1);
    assert!(
        sent(&cookies, "http://h.example/").starts_with(&format!("n{COOKIES_PER_DOMAIN_MAX}="))
    );
    assert_eq!(sent(&cookies, "http://other.example/"), "keep=me");
    for number in 0..COOKIES_MAX + 100 {
        hear(&mut cookies, &format!("http://h{number}.example/"), &["a=b"]);
    }
    assert_eq!(cookies.count(), COOKIES_MAX);
    let wide = format!("w={}", "x".repeat(4000));
    for number in 0..9 {
        hear(&mut cookies, "http://wide.example/", &[&format!("{number}{wide}")]);
    }
    assert!(sent(&cookies, "http://wide.example/").len() <= COOKIE_FIELD_BYTES_MAX);
}

#[test]
fn values_do_not_show() {
    let mut cookies = Cookies::default();
    hear(&mut cookies, "http://h/", &["id=sesame"]);
    assert!(!format!("{cookies:?}").contains("sesame"));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(500)
    })]

    /// Whatever a server sets, nothing of it goes to a host that is not below the domain of the one
    /// that has set it, none goes over http that is for https, and the bounds hold.
    #[test]
    fn cookies_stay_where_they_belong(
        fields in prop::collection::vec(
            "[a-c]{0,2}=?[x-z \"\u{e4}]{0,6}(; ?(Domain=(\\.?(a|b|co)\\.)?(example|uk|co\\.uk|)|\
             Path=/?[a-b/]{0,4}|Secure|Max-Age=-?[0-9]{0,3}|Expires=[0-9A-Za-z :]{0,20})){0,4}",
            0..20,
        ),
        from in "https?://(a|b|a\\.b|co)\\.(example|uk|co\\.uk)/[a-b/]{0,4}",
    ) {
        let mut cookies = Cookies::default();
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        hear(&mut cookies, &from, &fields);
        prop_assert!(cookies.count() <= fields.len());
        for to in ["https://elsewhere.example/a/b", "https://c.co.uk/a", "https://d.uk/"] {
            prop_assert_eq!(sent(&cookies, to), "");
        }
        let plain = from.replace("https:", "http:");
        let secure: Vec<String> = cookies.all(NOW).filter(|cookie| cookie.secure)
            .map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let field = sent(&cookies, &plain);
        prop_assert!(field.len() <= COOKIE_FIELD_BYTES_MAX);
        prop_assert!(secure.is_empty() || from.starts_with("https"));
        prop_assert!(!field.contains(['\r', '\n', '\0', ';']) || field.contains("; "));
    }
}
