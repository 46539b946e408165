//! What the mesh costs over raw iroh, in one run, interleaved.

use std::time::{Duration, Instant};

use clankers_mesh::{Mesh, MeshConfig};
use iroh::{
    Endpoint, EndpointAddr, SecretKey, TransportAddr,
    endpoint::{PortmapperConfig, presets},
};

use super::{ALPN, PATIENCE, soon, start};

async fn raw(to: EndpointAddr) -> [Duration; 4] {
    let begun = Instant::now();
    let ep = Endpoint::builder(presets::Minimal)
        .secret_key(SecretKey::from_bytes(&[1; 32]))
        .portmapper_config(PortmapperConfig::Disabled)
        .clear_ip_transports()
        .bind_addr("127.0.0.1:0")
        .unwrap()
        .bind()
        .await
        .unwrap();
    let bound = begun.elapsed();
    let conn = ep.connect(to, ALPN).await.unwrap();
    let connected = begun.elapsed();
    let (mut send, mut recv) = conn.open_bi().await.unwrap();
    send.write_all(&[7; 64]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(recv.read_to_end(100).await.unwrap().len(), 64);
    let answered = begun.elapsed();
    conn.close(0u32.into(), b"");
    ep.close().await;
    [bound, connected, answered, begun.elapsed()]
}

async fn ours(to: clankers_mesh::PeerAddress) -> [Duration; 4] {
    let begun = Instant::now();
    let mesh = Mesh::start(MeshConfig::dial_only([1; 32].into())).await.unwrap();
    let bound = begun.elapsed();
    let conn = mesh.dial(&to, ALPN, PATIENCE).await.unwrap();
    let connected = begun.elapsed();
    let (mut send, mut recv) = conn.open().await.unwrap();
    send.write_all(&[7; 64]).await.unwrap();
    send.finish().unwrap();
    let mut buf = [0; 64];
    recv.read_exact(&mut buf).await.unwrap();
    let answered = begun.elapsed();
    conn.close(0, "");
    mesh.close().await;
    [bound, connected, answered, begun.elapsed()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_one_shot_dialer_costs_what_raw_iroh_costs() {
    let server = start(2).await;
    let to = server.address();
    let raw_to = EndpointAddr::from_parts(
        iroh::EndpointId::from_bytes(&server.id().0).unwrap(),
        server.addrs().into_iter().map(TransportAddr::Ip),
    );
    let serve = async {
        while let Some(conn) = server.accept().await {
            tokio::spawn(async move {
                while let Ok((mut send, mut recv)) = conn.accept().await {
                    drop(tokio::io::copy(&mut recv, &mut send).await);
                }
            });
        }
    };
    let measure = async {
        let (mut theirs, mut mine) = (Vec::new(), Vec::new());
        for _ in 0..60 {
            theirs.push(raw(raw_to.clone()).await);
            mine.push(ours(to.clone()).await);
        }
        let mut medians = Vec::new();
        for (name, mut all) in [("raw iroh", theirs), ("mesh", mine)] {
            let mut line = String::new();
            for step in 0..4 {
                all.sort_by_key(|t| t[step]);
                line.push_str(&format!(" {:.2} ms", all[30][step].as_secs_f64() * 1000.0));
            }
            println!("{name}: bound, connected, answered, closed:{line}");
            medians.push(all[30][3]);
        }
        // Nearly nothing: half as much again would be a defect.
        assert!(medians[1] < medians[0] + medians[0] / 2, "{medians:?}");
    };
    soon("the measurement", async {
        tokio::select! { () = serve => {}, () = measure => {} }
    })
    .await;
    server.close().await;
}
