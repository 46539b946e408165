//! The words of `mesh` and `rpc discover`.

use std::time::Duration;

use clap::Args;

use super::duration;

#[derive(Debug, Args)]
pub(crate) struct MeshArgs {
    /// Go on, and show it again as it changes
    #[arg(long)]
    pub(crate) watch: bool,
    /// How long members may take to say which of their sessions they let this node see
    #[arg(long, value_name = "TIME", default_value = "1500ms", value_parser = duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct DiscoverArgs {
    /// Look on the local network only, and not at what the running node knows
    #[arg(long)]
    pub(crate) mdns: bool,
    /// How long to look when no node runs here, or it knows nobody
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Go on, and show each change
    #[arg(long, conflicts_with = "doctor")]
    pub(crate) watch: bool,
    /// Say why nobody is found, and what to do
    #[arg(long)]
    pub(crate) doctor: bool,
    /// Dial each that is found, for its round trip and path
    #[arg(long, conflicts_with = "doctor")]
    pub(crate) probe: bool,
}
