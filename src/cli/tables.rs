//! What the tables of the config file hold for the files of each origin, where there are several:
//! header fields, credentials, connections, the rate. Must not know which entries of a table those
//! are.

use super::args::{DownloadArgs, LoginArgs, rate_of};
use super::config::Entry;
use super::{login, resolve};
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result};

/// Brings in what `tables` say. To be called once.
pub(super) fn settle(args: &mut DownloadArgs, tables: &[(Origin, Vec<Entry>)]) -> Result<()> {
    for (origin, entries) in tables {
        let (mut fields, mut own) = (Vec::new(), LoginArgs::default());
        for entry in entries {
            let wrong = |error: Error| error.within(&entry.place);
            for value in &entry.values {
                match entry.id.as_str() {
                    "user" => own.user = Some(value.clone()),
                    "oauth2_bearer" => own.oauth2_bearer = Some(value.clone()),
                    "bearer_file" => own.bearer_file = Some(value.into()),
                    "max_connections_per_host" => {
                        let what = "max-connections-per-host is no number";
                        let most = value.parse();
                        let most = most.map_err(|_| wrong(Error::new(ErrorKind::Usage, what)))?;
                        args.connections_by_origin.push((origin.clone(), most));
                    }
                    "limit_rate_per_host" => {
                        let rate = rate_of(value).map_err(wrong)?;
                        args.rate.by_origin.push((origin.clone(), rate));
                    }
                    id => fields.extend(field(id, value).map_err(wrong)?),
                }
            }
        }
        args.headers_by_origin.push((origin.clone(), fields));
        args.logins_by_origin.push((origin.clone(), login::of_origin(&own)?));
    }
    Ok(())
}

fn field(id: &str, value: &str) -> Result<Option<(String, String)>> {
    match id {
        "header" => resolve::header_field(value).ok_or_else(|| resolve::not_a_header(1)).map(Some),
        "user_agent" => resolve::user_agent(value).map(Some),
        _ => resolve::referer::field(Some(value), &[]),
    }
}
