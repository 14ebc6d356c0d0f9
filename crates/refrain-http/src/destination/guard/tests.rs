//! The guard, address by address.

use super::*;

fn check(expected: Network, addresses: &[&str]) {
    for text in addresses {
        assert_eq!(network_of(text.parse().unwrap()), expected, "{text}");
    }
}

#[test]
fn addresses_that_nobody_may_call_are_forbidden() {
    let forbidden = [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.0.8",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "2001::1",
        "100::1",
        "::ffff:169.254.169.254",
        "::ffff:0:169.254.169.254",
        "::169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
        "64:ff9b:1::1",
    ];
    check(Network::Forbidden, &forbidden);
}

#[test]
fn addresses_of_this_machine_and_of_private_networks_are_told_apart() {
    let loopback = [
        "127.0.0.1",
        "127.255.255.254",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
    ];
    check(Network::Loopback, &loopback);
    let private = [
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "fc00::1",
        "fdff::1",
        "::ffff:10.0.0.1",
        "2002:0a00:0001::1",
    ];
    check(Network::Private, &private);
}

#[test]
fn the_neighbours_of_special_addresses_are_public() {
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "::ffff:1.1.1.1",
    ];
    check(Network::Public, &public);
}

#[test]
fn what_is_not_configured_is_denied_and_forbidden_addresses_always_are() {
    let all = Reach {
        loopback: Access::Allowed,
        private: Access::Allowed,
    };
    let rows = [
        ("1.1.1.1", true, true),
        ("127.0.0.1", false, true),
        ("10.0.0.1", false, true),
        ("169.254.169.254", false, false),
    ];
    for (address, by_default, with_all) in rows {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(Reach::default().allows(address), by_default, "{address}");
        assert_eq!(all.allows(address), with_all, "{address}");
    }
}

/// Answers each look-up with the next list of addresses.
#[derive(Clone)]
struct Scripted(std::collections::VecDeque<Vec<&'static str>>);

impl Service<Name> for Scripted {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = std::future::Ready<Result<Self::Response, io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Name) -> Self::Future {
        let next = self.0.pop_front().unwrap();
        let addresses: Vec<SocketAddr> = next
            .into_iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 0))
            .collect();
        std::future::ready(Ok(addresses.into_iter()))
    }
}

#[tokio::test]
async fn a_name_that_flips_to_a_forbidden_address_is_refused_at_that_look_up() {
    let answers = [
        vec!["1.1.1.1"],
        vec!["169.254.169.254"],
        vec!["127.0.0.1", "1.1.1.1"],
    ];
    let scripted = Scripted(answers.into_iter().collect());
    let mut resolver = GuardedResolver::new(scripted, Reach::default());
    let name: Name = "flips.example.com".parse().unwrap();

    let public: Vec<SocketAddr> = resolver.call(name.clone()).await.unwrap().collect();
    assert_eq!(public, ["1.1.1.1:0".parse().unwrap()]);
    let refused = resolver.call(name.clone()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    let filtered: Vec<SocketAddr> = resolver.call(name).await.unwrap().collect();
    assert_eq!(filtered, ["1.1.1.1:0".parse().unwrap()]);
}

#[tokio::test]
async fn odd_spellings_of_loopback_are_judged_by_what_they_resolve_to() {
    use hyper_util::client::legacy::connect::dns::GaiResolver;

    for spelling in [
        "127.1",
        "0x7f000001",
        "2130706433",
        "0177.0.0.1",
        "localhost",
    ] {
        assert_eq!(literal(spelling), None, "{spelling}");
        let mut resolver = GuardedResolver::new(GaiResolver::new(), Reach::default());
        let refused = resolver.call(spelling.parse().unwrap()).await;
        assert!(refused.is_err(), "{spelling}");
    }
    assert_eq!(literal("[::1]"), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
}
