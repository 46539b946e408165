//! The pictures of docs/simulations.md, drawn from fresh runs.

use std::path::{Path, PathBuf};

use plotters::{prelude::*, style::FontDesc};

use crate::{
    fleet,
    report::Report,
    scenario::{Scenario, Shape},
    world::Setup,
};

/// Width and height of a picture, pixels.
const SIZE: (u32, u32) = (720, 420);
/// Colours of the lines, in order.
const COLORS: [RGBColor; 4] =
    [RGBColor(31, 95, 160), RGBColor(190, 80, 30), RGBColor(60, 130, 70), RGBColor(120, 120, 120)];

/// Why a picture could not be drawn.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// A directory or a file.
    #[error("{path} cannot be written: {why}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the drawing library says.
        why: String,
    },
    /// The worlds were not as they should be.
    #[error("a world went wrong, so there is nothing to draw:\n{0}")]
    World(String),
}

/// One line of a picture: its name, and its points.
type Line = (String, Vec<(f64, f64)>);

/// A picture: its file's name, its title, what is on its axes, whether its first axis counts in powers of ten.
struct Picture<'a> {
    file: &'a str,
    title: &'a str,
    axes: (&'a str, &'a str),
    powers: bool,
    lines: Vec<Line>,
}

/// Runs the worlds and draws what they showed; says on standard output what the tables of the page say.
///
/// # Errors
/// [`PlotError`] when a world went wrong or a file cannot be written.
pub fn draw_all(directory: &Path, nodes: u32, seeds: u64, threads: usize) -> Result<(), PlotError> {
    std::fs::create_dir_all(directory)
        .map_err(|why| PlotError::File { path: directory.to_owned(), why: why.to_string() })?;
    traffic(directory, nodes, seeds, threads)?;
    times(directory, nodes, seeds, threads)
}

fn played(scenario: Scenario, nodes: u32, seeds: u64, threads: usize) -> Result<Report, PlotError> {
    let report = fleet::play(scenario, &Setup::new(1, nodes), seeds, threads);
    if report.is_good() { Ok(report) } else { Err(PlotError::World(report.text())) }
}

/// Sizes of teams: 10, 30, 100, 300, ... up to `nodes`.
fn sizes(nodes: u32) -> Vec<u32> {
    let all = (1..=5).flat_map(|power| [10_u32.pow(power), 3 * 10_u32.pow(power)]);
    all.filter(|size| *size < nodes).chain([nodes]).collect()
}

/// What a host at rest sends, for teams of several sizes.
fn traffic(directory: &Path, nodes: u32, seeds: u64, threads: usize) -> Result<(), PlotError> {
    const PARTS: [(&str, &str); 4] = [
        ("sent by a host at rest", "all"),
        ("of that: beats", "beats"),
        ("of that: gossip's own", "gossip's own"),
        ("of that: told on meeting", "told on meeting"),
    ];
    let mut lines: Vec<Line> = PARTS.iter().map(|(_, name)| ((*name).to_owned(), Vec::new())).collect();
    println!(
        "| nodes | all, B/s | beats | gossip's own | told on meeting | the busiest host |\n|---|---|---|---|---|---|"
    );
    for size in sizes(nodes) {
        let report = played(Scenario::Presence, size, seeds, threads)?;
        let mut cells = vec![size.to_string()];
        for ((measure, _), (_, points)) in PARTS.iter().zip(&mut lines) {
            let rate = report.mean(measure);
            points.push((f64::from(size), rate));
            cells.push(format!("{rate:.0}"));
        }
        cells.push(format!("{:.0}", report.mean("sent by the busiest host at rest")));
        println!("| {} |", cells.join(" | "));
    }
    draw(
        directory,
        &Picture {
            file: "traffic.svg",
            title: "What a host sends while its team is at rest",
            axes: ("members", "bytes a second"),
            powers: true,
            lines,
        },
    )
}

/// How long it takes, as the share of worlds or members that are there by then.
fn times(directory: &Path, nodes: u32, seeds: u64, threads: usize) -> Result<(), PlotError> {
    let mut lines = Vec::new();
    for shape in [Shape::Halves, Shape::Tenth, Shape::Alone] {
        let scenario = Scenario::Partition(shape);
        let report = played(scenario, nodes.min(100), seeds.max(20), threads)?;
        lines.push((scenario.name().to_owned(), shares(&report, "every table right again")));
    }
    draw(
        directory,
        &Picture {
            file: "partition.svg",
            title: "After a cut of 900 s: every table is right again",
            axes: ("seconds after the cut's end", "worlds, %"),
            powers: false,
            lines,
        },
    )?;
    let report = played(Scenario::Revocation, nodes, seeds, threads)?;
    let lines = vec![("members that know".to_owned(), shares(&report, "known to a member"))];
    draw(
        directory,
        &Picture {
            file: "revocation.svg",
            title: "A revocation spreads",
            axes: ("seconds after it was made", "members, %"),
            powers: false,
            lines,
        },
    )
}

/// For each time how many percent took no longer: at most a few hundred points.
fn shares(report: &Report, measure: &str) -> Vec<(f64, f64)> {
    let values = report.values(measure);
    let every = values.len().div_ceil(300).max(1);
    let all = as_f64(values.len()).max(1.0);
    let point = |(rank, value): (usize, &u64)| {
        let seconds = f64::from(u32::try_from(value / 1_000).unwrap_or(u32::MAX)) / 1_000.0;
        (seconds, 100.0 * as_f64(rank + 1) / all)
    };
    let points = values.iter().enumerate().map(point);
    let last = values.len().saturating_sub(1);
    points
        .enumerate()
        .filter(|(rank, _)| rank % every == 0 || *rank == last)
        .map(|(_, point)| point)
        .collect()
}

fn as_f64(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn draw(directory: &Path, picture: &Picture<'_>) -> Result<(), PlotError> {
    let path = directory.join(picture.file);
    let fail = |why: &dyn std::fmt::Display| PlotError::File { path: path.clone(), why: why.to_string() };
    let root = SVGBackend::new(&path, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|why| fail(&why))?;
    let points = || picture.lines.iter().flat_map(|(_, points)| points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(0.0_f64, f64::max).max(0.01) * 1.05;
    let (wide, high) = (most(|point| point.0), most(|point| point.1));
    let mut chart = ChartBuilder::on(&root);
    chart.margin(16).caption(picture.title, font(18.0)).x_label_area_size(44).y_label_area_size(64);
    if picture.powers {
        let least = points().map(|point| point.0).fold(f64::MAX, f64::min).max(1.0);
        let mut chart =
            chart.build_cartesian_2d((least..wide).log_scale(), 0.0..high).map_err(|why| fail(&why))?;
        lines(&mut chart, picture).map_err(|why| fail(&why))?;
    } else {
        let mut chart = chart.build_cartesian_2d(0.0..wide, 0.0..high).map_err(|why| fail(&why))?;
        lines(&mut chart, picture).map_err(|why| fail(&why))?;
    }
    root.present().map_err(|why| fail(&why))
}

fn font(size: f64) -> FontDesc<'static> {
    FontDesc::new(FontFamily::SansSerif, size, FontStyle::Normal)
}

/// Axes, lines, legend: the same whatever the first axis is.
fn lines<'a, X>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, plotters::coord::types::RangedCoordf64>>,
    picture: &Picture<'_>,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>>
where
    X: plotters::coord::ranged1d::Ranged<ValueType = f64> + plotters::coord::ranged1d::ValueFormatter<f64>,
{
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(picture.axes.0).y_desc(picture.axes.1).label_style(font(13.0)).axis_desc_style(font(14.0));
    mesh.light_line_style(RGBColor(240, 240, 240)).draw()?;
    for ((name, points), color) in picture.lines.iter().zip(COLORS) {
        let line = LineSeries::new(points.iter().copied(), color.stroke_width(2)).point_size(2);
        chart
            .draw_series(line)?
            .label(name.as_str())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    let mut legend = chart.configure_series_labels();
    legend.background_style(WHITE.mix(0.8)).border_style(RGBColor(200, 200, 200)).label_font(font(13.0));
    legend.position(SeriesLabelPosition::UpperLeft).draw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teams_grow_up_to_what_was_asked_for() {
        assert_eq!(sizes(10), [10]);
        assert_eq!(sizes(250), [10, 30, 100, 250]);
        assert_eq!(sizes(1_000), [10, 30, 100, 300, 1_000]);
    }

    #[test]
    fn a_picture_is_drawn() {
        let directory = std::env::temp_dir().join(format!("clankers-plot-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        for powers in [true, false] {
            let picture = Picture {
                file: "one.svg",
                title: "A <title>",
                axes: ("members", "bytes"),
                powers,
                lines: vec![("a line".to_owned(), vec![(10.0, 1.0), (100.0, 3.0), (1_000.0, 2.0)])],
            };
            draw(&directory, &picture).unwrap();
            let text = std::fs::read_to_string(directory.join("one.svg")).unwrap();
            assert!(text.starts_with("<svg") && text.contains("a line") && text.contains("A &lt;title&gt;"));
        }
        std::fs::remove_dir_all(&directory).unwrap();
        let nowhere = directory.join("not/there");
        let picture = Picture { file: "x.svg", title: "", axes: ("", ""), powers: false, lines: Vec::new() };
        assert!(matches!(draw(&nowhere, &picture), Err(PlotError::File { .. })));
    }
}
