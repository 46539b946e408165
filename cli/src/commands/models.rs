//! `models`: what can be used here, what it costs, and why the rest cannot be used.

use clankers_node::{daemon, models::ModelInfo, settings::Settings, store::Home};
use clankers_protocol::text;
use serde_json::{Value, json};

use crate::{
    error::{CliError, Outcome},
    output,
};

/// Characters of what a model is.
const ABOUT_CHARS: usize = 160;

pub(crate) async fn run(home: &Home, json: bool) -> Outcome {
    let settings = Settings::load(&home.settings()).map_err(CliError::settings)?;
    let (models, default) = daemon::models(home, &settings).await.map_err(CliError::machine)?;
    if json {
        let models: Vec<Value> = models.iter().map(|model| value(model, &default)).collect();
        return Ok(output::json(&Value::Array(models))?);
    }
    let rows: Vec<[String; 4]> = models.iter().filter(|m| m.usable).map(|m| row(m, &default)).collect();
    output::table(["MODEL", "PRICE", "CONTEXT", "ABOUT"], &rows)?;
    for model in models.iter().filter(|model| !model.usable) {
        anstream::eprintln!("✗ {}: {}", model.name, text::line(&model.about, ABOUT_CHARS));
    }
    Ok(())
}

fn row(model: &ModelInfo, default: &str) -> [String; 4] {
    let mark = if model.name == default { " (default)" } else { "" };
    let price = match model.price {
        None => "not known".to_owned(),
        Some(price) if price.input == 0 && price.output == 0 => "free".to_owned(),
        // Nano-dollars for a token are dollars for a thousand million of them.
        Some(price) => {
            format!("${} in, ${} out per million", per_million(price.input), per_million(price.output))
        }
    };
    let context = model.context_window.map_or_else(|| "not known".to_owned(), |tokens| tokens.to_string());
    [format!("{}{mark}", model.name), price, context, model.about.clone()]
}

/// Nano-dollars for one token, as dollars for a million.
fn per_million(nano: u64) -> String {
    rust_decimal::Decimal::new(i64::try_from(nano).unwrap_or(i64::MAX), 3).normalize().to_string()
}

fn value(model: &ModelInfo, default: &str) -> Value {
    let price = model.price.map(|price| {
        json!({
            "input": price.input, "output": price.output, "cache_read": price.cache_read,
            "cache_write": price.cache_write,
        })
    });
    json!({
        "name": model.name,
        "usable": model.usable,
        "default": model.name == default,
        "about": model.about,
        "price": price,
        "context_window": model.context_window,
        "max_output": model.max_output,
    })
}
