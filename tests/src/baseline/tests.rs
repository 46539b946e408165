//! The baselines echo what they are sent.

use tokio::sync::oneshot;

use super::*;
use crate::{limits::STEP, wait::within};

#[tokio::test(flavor = "multi_thread")]
async fn every_carrier_echoes() {
    for carrier in Carrier::ALL {
        let (tell, told) = oneshot::channel();
        let server = tokio::spawn(serve_until_dropped(carrier, |at| tell.send(at).unwrap()));
        let at = within("the server's address", STEP, told).await.unwrap();
        let times = within("five echoes", STEP, Box::pin(pinged(carrier, &at, 5))).await;
        assert_eq!(times.len(), 5, "{carrier:?}");
        server.abort();
    }
}

#[test]
fn carriers_have_names() {
    for carrier in Carrier::ALL {
        assert_eq!(carrier.name().parse(), Ok(carrier));
    }
    assert!("udp".parse::<Carrier>().is_err());
}
