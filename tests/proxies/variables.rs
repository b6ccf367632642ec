//! The binary finds its proxy by option and by variable.

use super::common::{SEED, Scene, Site};
use super::scripted::{End, Scripted};
use ringhaul::server::Config;

const REFUSES: &[u8] = b"HTTP/1.1 403 no\r\n\r\n";
const URL: &str = "https://host.invalid/file";

#[test]
fn variables_name_the_proxy_and_options_win() {
    let (proxy, other) =
        (Scripted::start(&[REFUSES], End::Close), Scripted::start(&[REFUSES], End::Close));
    let (url, other_url) = (proxy.url("http://"), other.url("http://"));
    for (arguments, environment, asked) in [
        (&[][..], &[("https_proxy", &*url)][..], &proxy),
        (&[], &[("HTTPS_PROXY", &url), ("http_proxy", &other_url)], &proxy),
        (&[], &[("all_proxy", &url), ("no_proxy", "other.invalid")], &proxy),
        (&["-x", &other_url], &[("https_proxy", &url)], &other),
        (&["--proxy", &url], &[("RINGHAUL_PROXY", &other_url)], &proxy),
        (&[], &[("RINGHAUL_PROXY", &other_url), ("https_proxy", &url)], &other),
        (&["--noproxy", ""], &[("https_proxy", &url), ("no_proxy", "*")], &proxy),
    ] {
        let before = asked.heard().len();
        let arguments = [arguments, &[URL]].concat();
        let ended = Scene::new().run_with(&arguments, environment);
        assert!(ended.one_error_line(18).contains(&asked.name()), "{arguments:?} {ended:?}");
        assert_eq!(asked.heard().len(), before + 1, "{arguments:?}");
    }
}

#[test]
fn who_is_exempt_is_reached_directly() {
    let proxy = Scripted::start(&[REFUSES], End::Close);
    let url = proxy.url("http://");
    for (arguments, environment) in [
        (&[][..], &[("http_proxy", &*url), ("no_proxy", "10.0.0.0/8, 127.0.0.0/8")][..]),
        (&["-x", &url], &[("NO_PROXY", "127.0.0.1")]),
        (&["-x", &url, "--noproxy", "*"], &[]),
        (&["-x", ""], &[("http_proxy", &*url)]),
        // A CGI script would find a field of a request there.
        (&[], &[("HTTP_PROXY", &url)]),
        (&[], &[("https_proxy", &url)]),
    ] {
        let site = Site::start(Config::new(SEED, 20_000));
        let scene = Scene::new();
        let url = site.url("/file.bin");
        let arguments = [arguments, &["-q", &url]].concat();
        scene.run_with(&arguments, environment).success();
        assert!(proxy.heard().is_empty(), "{arguments:?}");
    }
}

#[test]
fn mistakes_in_variables_name_them() {
    let set = [("all_proxy", "socks4://u:sesame@h")];
    let ended = Scene::new().run_with(&[URL], &set);
    let line = ended.one_error_line(2);
    assert!(line.contains("all_proxy: ") && !line.contains("sesame"), "{line}");
    let url = "http://127.0.0.1:9/file";
    let ended = Scene::new().run(&["-H", "Proxy-Authorization: Basic sesame", url]);
    let line = ended.one_error_line(2);
    assert!(line.contains("--proxy-user") && !line.contains("sesame"), "{line}");
}
