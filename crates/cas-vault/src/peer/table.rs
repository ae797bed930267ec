//! Parses the kernel's table of TCP sockets, and finds the peer of a connection. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// One socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    local: SocketAddr,
    remote: SocketAddr,
    uid: u32,
    /// 0 while no process holds the socket: it was not accepted yet, or was closed.
    inode: u64,
}

/// The user at the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// A process of this user accepted it.
    User(u32),
    /// No process has accepted it yet. The uid of such a socket is meaningless: it is 0 on many
    /// kernels. The listening sockets that may accept it belong to these users.
    NotAccepted(Vec<u32>),
    /// The table has no such socket: the connection is closed, or belongs to another network
    /// namespace.
    Unknown,
}

/// Parses `/proc/PID/net/tcp` or `tcp6`. Lines of another form are ignored.
pub(super) fn parse(text: &str) -> Vec<Row> {
    text.lines().skip(1).filter_map(row).collect()
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode …`
fn row(line: &str) -> Option<Row> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let uid = fields.nth(4)?.parse().ok()?;
    let inode = fields.nth(1)?.parse().ok()?;
    Some(Row { local, remote, uid, inode })
}

/// Parses `0100007F:1F90`: each group of eight digits is four bytes of the address in this
/// machine's byte order.
fn address(text: &str) -> Option<SocketAddr> {
    let (digits, port) = text.split_once(':')?;
    let word = |index: usize| {
        let word = digits.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(word, 16).ok().map(u32::to_ne_bytes)
    };
    let ip = match digits.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let bytes: [u8; 16] = [word(0)?, word(1)?, word(2)?, word(3)?].concat().try_into().ok()?;
            // A socket that serves both families has its IPv4 connections as mapped addresses.
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Returns the other end of each connection to `port` whose near end has one of these inodes, or
/// [`Peer::Unknown`] for a connection without such an end.
pub(super) fn peers(rows: &[Row], own: &[u64], port: u16) -> Vec<Peer> {
    let near = rows.iter().filter(|row| row.remote.port() == port && own.contains(&row.inode));
    let found: Vec<_> = near.map(|near| peer(rows, near)).collect();
    if found.is_empty() { vec![Peer::Unknown] } else { found }
}

fn peer(rows: &[Row], near: &Row) -> Peer {
    let far = rows.iter().find(|row| row.local == near.remote && row.remote == near.local);
    match far {
        Some(far) if far.inode != 0 => Peer::User(far.uid),
        Some(far) => Peer::NotAccepted(listeners(rows, far.local)),
        None => Peer::Unknown,
    }
}

/// Returns the users of the sockets that listen on this address. A listening socket has port 0 as
/// its other end.
fn listeners(rows: &[Row], at: SocketAddr) -> Vec<u32> {
    let is_there = |row: &&Row| {
        let own = row.local;
        row.remote.port() == 0
            && own.port() == at.port()
            && (own.ip() == at.ip() || own.ip().is_unspecified())
    };
    rows.iter().filter(is_there).map(|row| row.uid).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn line(local: &str, remote: &str, uid: u32, inode: u64) -> String {
        format!(
            "   0: {local} {remote} 01 00000000:00000000 00:00000000 00000000  {uid}        0 {inode} 1 0 20 4 30 10 -1\n"
        )
    }

    fn socket(text: &str) -> String {
        let address: SocketAddr = text.parse().expect("an address");
        let words: String = match address.ip() {
            IpAddr::V4(ip) => format!("{:08X}", u32::from_ne_bytes(ip.octets())),
            IpAddr::V6(ip) => ip
                .octets()
                .chunks(4)
                .map(|word| format!("{:08X}", u32::from_ne_bytes(word.try_into().expect("four"))))
                .collect(),
        };
        format!("{words}:{:04X}", address.port())
    }

    fn peers_of(lines: &[(&str, &str, u32, u64)]) -> Vec<Peer> {
        let lines = lines
            .iter()
            .map(|(local, remote, uid, inode)| line(&socket(local), &socket(remote), *uid, *inode));
        peers(&parse(&format!("{HEADER}{}", lines.collect::<String>())), &[7], 8200)
    }

    #[test]
    fn peer_is_the_socket_with_both_ends_exchanged() {
        let near = ("127.0.0.1:40000", "127.0.0.1:8200", 1000, 7);
        let listener = ("127.0.0.1:8200", "0.0.0.0:0", 0, 5);
        let rows = [
            (vec![near], Peer::Unknown),
            (vec![near, listener], Peer::Unknown),
            (vec![near, listener, ("127.0.0.1:8200", "127.0.0.1:40000", 0, 9)], Peer::User(0)),
            (vec![near, listener, ("127.0.0.1:8200", "127.0.0.1:40000", 1001, 9)], Peer::User(1001)),
            (vec![near, listener, ("127.0.0.1:8200", "127.0.0.1:40000", 0, 0)], Peer::NotAccepted(vec![0])),
            (
                vec![
                    near,
                    ("0.0.0.0:8200", "0.0.0.0:0", 1001, 5),
                    ("127.0.0.1:8200", "127.0.0.1:40000", 0, 0),
                ],
                Peer::NotAccepted(vec![1001]),
            ),
            (
                vec![
                    near,
                    ("127.0.0.2:8200", "0.0.0.0:0", 1001, 5),
                    ("127.0.0.1:8200", "127.0.0.1:40000", 0, 0),
                ],
                Peer::NotAccepted(vec![]),
            ),
            (vec![near, ("127.0.0.2:8200", "127.0.0.1:40000", 0, 9)], Peer::Unknown),
            (vec![near, ("127.0.0.1:8200", "127.0.0.1:40001", 0, 9)], Peer::Unknown),
            (vec![near, ("[::ffff:127.0.0.1]:8200", "[::ffff:127.0.0.1]:40000", 1001, 9)], Peer::User(1001)),
            (vec![("127.0.0.1:40000", "127.0.0.1:8200", 1000, 8)], Peer::Unknown),
            (
                vec![("[::1]:40000", "[::1]:8200", 1000, 7), ("[::1]:8200", "[::1]:40000", 3, 9)],
                Peer::User(3),
            ),
        ];
        for (lines, expected) in rows {
            assert_eq!(peers_of(&lines), [expected], "{lines:?}");
        }
    }

    #[test]
    fn every_connection_of_the_process_is_checked() {
        let lines = [
            ("127.0.0.1:40000", "127.0.0.1:8200", 1000, 7),
            ("127.0.0.1:40001", "127.0.0.2:8200", 1000, 7),
            ("127.0.0.1:8200", "127.0.0.1:40000", 0, 9),
            ("127.0.0.2:8200", "127.0.0.1:40001", 1001, 10),
        ];
        assert_eq!(peers_of(&lines), [Peer::User(0), Peer::User(1001)]);
    }

    #[test]
    fn lines_of_another_form_are_ignored() {
        for text in [
            "",
            HEADER,
            "x\ny\n",
            "h\n 0: 01:1 02:2\n",
            "h\n 0: 0100007F:XXXX 0100007F:1F90 01 a b c 0 0 1\n",
        ] {
            assert_eq!(parse(text), [], "{text:?}");
        }
    }
}
