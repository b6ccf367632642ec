//! What the command line asks of a batch, in the batch's words.

use super::items::Items;
use super::journal;
use crate::base::Result;
use crate::batch::BatchOptions;
use crate::batch::state::IfExists;
use crate::cli::args::{DownloadArgs, IfThere, Sync};
use crate::cli::resolve;
use crate::engine::landing::Durability;
use crate::engine::options::rate::RateLimit;
use crate::engine::options::{ClientOptions, Options};

/// The settings of the batch that fetches `items`.
pub(super) fn options(args: &DownloadArgs, items: &Items) -> Result<BatchOptions> {
    let batch = &args.batch;
    let options = resolve::options(args)?;
    Ok(BatchOptions {
        state: journal::path(args, items.folder()),
        part: items.part(),
        dir: items.folder().to_owned(),
        parallel: batch.parallel.fixed(),
        max_connections: args.max_connections,
        max_connections_per_host: batch.max_connections_per_host.unwrap_or(args.max_connections),
        if_exists: if_exists(args, items.is_one()),
        create_dirs: batch.create_dirs || !batch.no_create_dirs,
        sync: durability(batch.sync),
        remote_time: args.remote_time,
        fail_fast: batch.fail_fast,
        max_connections_by_origin: args.connections_by_origin.clone(),
        headers_by_origin: args.headers_by_origin.clone(),
        client: client(&options),
        // Its limits are those of all files together.
        options: Options { checksum: None, rate: RateLimit::default(), ..options },
    })
}

/// Of one file a target that is there is an error, of many it is compared.
fn if_exists(args: &DownloadArgs, is_one: bool) -> IfExists {
    match args.batch.if_exists {
        Some(IfThere::Fail) => IfExists::Fail,
        Some(IfThere::Skip) => IfExists::Skip,
        Some(IfThere::Replace) => IfExists::Replace,
        Some(IfThere::Check) => IfExists::Check,
        None if args.force => IfExists::Replace,
        None if is_one => IfExists::Fail,
        None => IfExists::Check,
    }
}

fn durability(sync: Sync) -> Durability {
    match sync {
        Sync::File => Durability::File,
        Sync::Batch => Durability::Batch,
        Sync::None => Durability::None,
    }
}

fn client(options: &Options) -> ClientOptions {
    ClientOptions {
        engine: options.engine,
        threads: options.threads,
        register_buffers: options.register_buffers,
        rate: options.rate.clone(),
        ..ClientOptions::default()
    }
}
