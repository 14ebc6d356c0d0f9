//! A channel that stands alone.

use refrain::{MemoryJournal, RedeliveryPolicy, Refrain, Relay};
use refrain_testkit::{Act, ScriptedDestination};

/// B5.5
#[tokio::test(start_paused = true)]
async fn standalone_channel_accepts_without_a_processor_and_delivers_each_also_after_a_crash() {
    let journal = MemoryJournal::new();
    let printer = ScriptedDestination::scripted([Act::confirm()], Act::Silence);
    let start = async |journal: &MemoryJournal| {
        Refrain::builder()
            .journal(journal.clone())
            .processor("labels", Relay::<String>::new())
            .destination(
                &Relay::<String>::OUT,
                printer.clone(),
                RedeliveryPolicy::default(),
            )
            .start()
            .await
            .unwrap()
    };
    let refrain = start(&journal).await;
    let labels = refrain.processor::<Relay<String>>("labels");
    for text in ["one", "two", "three"] {
        labels.ask(text.to_owned()).await.unwrap();
    }
    printer.call(2).await;
    let journal = journal.crash();
    drop(refrain);

    printer.change_script([], Act::confirm());
    let refrain = start(&journal).await;
    let labels = refrain.processor::<Relay<String>>("labels");
    while labels.channels().await.unwrap()[0].pending > 0 {
        crate::waiting::pass(std::time::Duration::from_millis(100)).await;
    }
    let printed: Vec<String> = printer
        .deliveries()
        .iter()
        .map(|delivery| delivery.encoding.decode(&delivery.request).unwrap())
        .collect();
    assert_eq!(printed, ["one", "two", "two", "three"]);
}
