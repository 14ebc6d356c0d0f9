//! Backups in an object store that speaks S3, over HTTP on this machine.
//!
//! The server is `s3s` with its store in a directory. It checks signatures and conditions as S3 does, and
//! refuses every request for a bucket that is not there; it knows no regions, no versions of objects and
//! no rights of users.

use std::path::PathBuf;
use std::pin::Pin;
use std::process::Output;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::S3Result;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;

use crate::run;
use crate::support::{Place, command, fill};

const KEY: &str = "the-key";
const SECRET: &str = "the-secret";

/// The store's buckets: without it the server would make one that is not there.
struct Buckets(PathBuf);

impl S3Access for Buckets {
    fn check<'own, 'context, 'borrowed, 'checked>(
        &'own self,
        context: &'context mut S3AccessContext<'borrowed>,
    ) -> Pin<Box<dyn Future<Output = S3Result<()>> + Send + 'checked>>
    where
        'own: 'checked,
        'context: 'checked,
        'borrowed: 'checked,
        Self: 'checked,
    {
        let bucket = context.s3_path().get_bucket_name();
        let is_there = bucket.is_some_and(|bucket| self.0.join(bucket).is_dir());
        let checked = match (context.credentials(), is_there) {
            (None, _) => Err(s3s::s3_error!(AccessDenied)),
            (Some(_), false) => Err(s3s::s3_error!(NoSuchBucket)),
            (Some(_), true) => Ok(()),
        };
        Box::pin(std::future::ready(checked))
    }
}

/// A server with one bucket, `backups`.
struct Store {
    root: PathBuf,
    endpoint: String,
    _serving: JoinSet<()>,
}

impl Store {
    async fn start(place: &Place) -> Store {
        let root = place.path("store");
        std::fs::create_dir_all(root.join("backups")).unwrap();
        let files = s3s_fs::FileSystem::new(&root).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(KEY, SECRET));
        service.set_access(Buckets(root.clone()));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let connection = Builder::new(TokioExecutor::new());
                    let socket = TokioIo::new(socket);
                    // A client may go at any time.
                    let _ = connection.serve_connection(socket, service).await;
                });
            }
        });
        Store {
            root,
            endpoint,
            _serving: serving,
        }
    }

    /// Runs `refrain journal` with these words behind it; how it ended, and what it printed.
    fn run(&self, secret: &str, words: &[&str]) -> (Option<i32>, String) {
        let mut command = command();
        command.env("AWS_ENDPOINT", &self.endpoint);
        command.env("AWS_ALLOW_HTTP", "true");
        command.env("NO_PROXY", "127.0.0.1");
        command.env("AWS_REGION", "us-east-1");
        command.env("AWS_ACCESS_KEY_ID", KEY);
        command.env("AWS_SECRET_ACCESS_KEY", secret);
        let Output {
            status,
            stdout,
            stderr,
        } = command.args(words).output().unwrap();
        let text = [stdout, stderr].concat();
        (status.code(), String::from_utf8(text).unwrap())
    }

    #[track_caller]
    fn done(&self, words: &[&str]) -> String {
        let (exit, text) = self.run(SECRET, words);
        assert_eq!(exit, Some(0), "{words:?}: {text}");
        text
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_to_an_object_store_and_comes_back() {
    let place = Place::new();
    let store = Store::start(&place).await;
    let (dir, again) = (place.path("journal"), place.path("again"));
    fill(&dir, &["orders", "payments"], 200).await;
    let (from, to) = (dir.to_str().unwrap(), again.to_str().unwrap());
    let url = "s3://backups/orders";
    assert!(
        store
            .done(&["backup", "create", from, url])
            .starts_with("backup ")
    );
    let second = store.done(&["backup", "create", from, url]);
    assert!(second.contains("was there already"), "{second}");
    store.done(&["backup", "verify", url]);
    let listed = store.done(&["backup", "ls", url, "--json"]);
    assert_eq!(listed.matches("\"backup\":").count(), 1, "{listed}");
    store.done(&["restore", url, to]);
    run!("verify", &again).assert_exit(0);
    let streams = |dir| run!("ls", dir, "--json").value()["streams"].clone();
    assert_eq!(streams(&again), streams(&dir));
    // What was stored and is altered in the store is found there.
    let pieces = std::fs::read_dir(store.root.join("backups/orders/pieces")).unwrap();
    let piece = pieces.map(|piece| piece.unwrap().path()).next().unwrap();
    crate::support::flip(&piece, 0);
    let (exit, text) = store.run(SECRET, &["backup", "verify", url]);
    assert_eq!(exit, Some(1), "{text}");
    assert!(text.contains("R0121"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_and_a_bucket_that_is_not_there_are_said() {
    let place = Place::new();
    let store = Store::start(&place).await;
    let dir = place.path("journal");
    fill(&dir, &["orders"], 5).await;
    let from = dir.to_str().unwrap();
    let rows = [
        ("no-secret", "s3://backups/orders", "403 Forbidden"),
        (SECRET, "s3://nowhere/orders", "NoSuchBucket"),
    ];
    for (secret, url, reason) in rows {
        for words in [["backup", "ls", url], ["backup", "verify", url]] {
            assert_unusable(&store.run(secret, &words), url, reason);
        }
    }
    for (secret, url, reason) in rows {
        let ran = store.run(secret, &["backup", "create", from, url]);
        assert_unusable(&ran, url, reason);
        assert!(!store.root.join("nowhere").exists(), "nothing was made");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_reached_is_said() {
    let place = Place::new();
    let mut store = Store::start(&place).await;
    // Nobody listens there, and nobody else can: the port is taken.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    store.endpoint = format!("http://{}", silent.local_addr().unwrap());
    let url = "s3://backups/orders";
    let ran = store.run(SECRET, &["backup", "ls", url]);
    assert_unusable(&ran, url, &store.endpoint);
}

/// Whether it was said what was wrong, where, and what to do, and no secret.
#[track_caller]
fn assert_unusable((exit, text): &(Option<i32>, String), url: &str, reason: &str) {
    assert_eq!(*exit, Some(5), "{text}");
    for said in ["R0124", url, reason, "what to do:"] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("-secret"), "{text}");
}
