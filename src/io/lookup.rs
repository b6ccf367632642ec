//! Name lookup of the C library in a binary without shared libraries.

/// Keeps name lookup to what a static glibc has in itself, the hosts file and DNS. What
/// /etc/nsswitch.conf names besides are shared libraries of this machine's glibc, which another one
/// must not load. To be called before each lookup; does nothing where shared libraries are used.
pub fn keep_to_built_in() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    built_in::choose();
}

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
mod built_in {
    use std::ffi::{CStr, c_char, c_int};
    use std::sync::Once;

    unsafe extern "C" {
        /// `nss.h`: replaces what /etc/nsswitch.conf says of one database; -1 if it cannot.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }

    const DATABASE: &CStr = c"hosts";
    const SERVICES: &CStr = c"files dns";

    pub(super) fn choose() {
        static CHOSEN: Once = Once::new();
        CHOSEN.call_once(|| {
            // SAFETY: both are strings that end in a zero and live for ever; no lookup of ours has
            // begun, as each begins with this, and `Once` lets one thread in.
            let chosen = unsafe { __nss_configure_lookup(DATABASE.as_ptr(), SERVICES.as_ptr()) };
            // Refused, for want of memory, lookups are as they are elsewhere.
            let _ = chosen;
        });
    }
}
