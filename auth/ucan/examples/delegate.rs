//! A library lets a reader borrow, the reader lets a friend borrow less, and the library decides.
//!
//! Run with `cargo run -p ucan --example delegate`.

use ucan::{
    Chain, Command, Container, ContainerLimits, Delegation, Did, Ipld, Literal, Policy, Profile, SigningKey,
    Timestamp,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Real keys and nonces come from a source of randomness.
    let library_key = SigningKey::from_bytes(&[1; 32]);
    let reader_key = SigningKey::from_bytes(&[2; 32]);
    let library = Did::from(&library_key);
    let reader = Did::from(&reader_key);
    let friend = Did::from(&SigningKey::from_bytes(&[3; 32]));
    let now = Timestamp::from_secs(1_800_000_000)?;

    let to_reader = Delegation::build(library, reader, Command::parse("/book")?, b"first nonce!")
        .policy(Policy::build([Policy::le(".days", 28_u64)], Profile::Strict)?)
        .not_before(now)
        .expires(now.saturating_add(30 * 86_400))
        .sign(&library_key, Profile::Strict)?;
    let to_friend = Delegation::build(library, friend, Command::parse("/book/borrow")?, b"second nonce")
        .policy(Policy::build(
            [Policy::like(".title", "Emma*"), Policy::le(".days", 7_u64)],
            Profile::Strict,
        )?)
        .not_before(now)
        .expires(now.saturating_add(86_400))
        .sign(&reader_key, Profile::Strict)?;

    let text = Container::new([to_reader.bytes(), to_friend.bytes()], &ContainerLimits::CHAIN)?.to_text()?;
    println!("the friend carries {} characters", text.len());

    // At the library's desk. The friend's key is known from the connection.
    let tokens = Container::decode(text.as_bytes(), &ContainerLimits::CHAIN, Profile::Strict)?;
    let chain = Chain::order(tokens.delegations(Profile::Strict)?)?;
    chain.check_subject(&library, Profile::Strict)?;
    chain.check_alignment(&friend)?;
    chain.check_time(now, 60)?;
    chain.check_command(&Command::parse("/book/borrow")?)?;
    let chain = chain.verify_signatures(|_| false)?;

    for (title, days) in [("Emma", 7_u64), ("Emma", 14), ("Persuasion", 7)] {
        let args = Ipld::Map(
            [("title".to_owned(), title.into_ipld()), ("days".to_owned(), days.into_ipld())].into(),
        );
        match chain.check_policy(&args, Profile::Strict) {
            Ok(()) => println!("{title} for {days} days: yes"),
            Err(reason) => println!("{title} for {days} days: no, {reason}"),
        }
    }
    Ok(())
}
