//! stub
#[derive(Debug, clap::Args)]
pub struct ProcessorFlags {}
pub async fn run(_: ProcessorFlags) -> Result<(), std::io::Error> {
    Ok(())
}
