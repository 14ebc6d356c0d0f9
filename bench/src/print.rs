//! A report as a person reads it.

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_BORDERS_ONLY};
use comfy_table::{CellAlignment, Table as Grid};

use crate::report::{Measured, Report, Row, Table};
use crate::stats::Spread;

const COLUMNS: usize = 12;

const HEADER: [&str; COLUMNS] = [
    "",
    "in flight",
    "per second",
    "min .. max",
    "ns each",
    "cpu ns",
    "ratio",
    "min .. max",
    "p50 µs",
    "p99 µs",
    "p99 ratio",
    "bytes (stored/message)",
];

/// The head of a report: where and how it was measured.
pub(crate) fn introduction(report: &Report) -> String {
    let machine = &report.machine;
    let effort = &report.effort;
    let mut text = format!(
        "{} cores ({}), {}, {}; {} runs of {} ms a row, medians",
        machine.cores,
        machine.processor,
        machine.kernel,
        machine.file_system,
        effort.runs,
        effort.run_ms,
    );
    if !machine.optimised {
        text.push_str("\nNOT OPTIMISED: these figures mean nothing, use --release");
    }
    if let Some(load) = machine.load_before
        && load > 0.5
    {
        text.push_str(&format!(
            "\nThe machine was busy before the start (load {load}): ratios may do, figures do not."
        ));
    }
    text
}

/// How tables are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    /// For a terminal.
    Text,
    /// For a page.
    Markdown,
}

/// One table with its notes. Below each row stand its references; a reference's ratio is the row's
/// rate over its own.
pub(crate) fn table(table: &Table, style: Style) -> String {
    let mut lines = vec![HEADER.map(str::to_owned)];
    for row in &table.rows {
        lines.push(cells(row));
        for reference in &row.references {
            let ratio = Some(reference.ratio);
            let mut cells = measured(
                format!("  over {}", reference.name),
                &reference.measured,
                ratio,
            );
            if let Some(ratio) = reference.p99_ratio {
                cells[10] = format!("{ratio:.2}");
            }
            lines.push(cells);
        }
    }
    // A column that would be empty is left out.
    let is_used = |column: &usize| lines.iter().skip(1).any(|line| !line[*column].is_empty());
    let used: Vec<usize> = (0..HEADER.len()).filter(is_used).collect();
    let mut grid = Grid::new();
    grid.load_style(match style {
        Style::Text => UTF8_BORDERS_ONLY,
        Style::Markdown => ASCII_MARKDOWN,
    });
    for (number, line) in lines.iter().enumerate() {
        let line: Vec<&String> = used.iter().map(|column| &line[*column]).collect();
        if number == 0 {
            grid.set_header(line);
        } else {
            grid.add_row(line);
        }
    }
    for column in grid.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let notes = table.notes.join("\n  ");
    let mut text = format!("\n{}\n{grid}\n  {notes}", table.title);
    for verdict in &table.verdicts {
        text.push_str(&format!("\n  {verdict}"));
    }
    text
}

fn cells(row: &Row) -> [String; COLUMNS] {
    let mut cells = measured(row.name.clone(), &row.measured, None);
    cells[1] = row
        .in_flight
        .map_or_else(String::new, |count| count.to_string());
    if let Some(bytes) = row.bytes {
        cells[11] = format!(
            "{:.0}/{:.0} = {:.1}",
            bytes.stored, bytes.message, bytes.amplification
        );
    }
    cells
}

fn measured(name: String, measured: &Measured, ratio: Option<Spread>) -> [String; COLUMNS] {
    let rate = measured.per_second;
    let mut cells = [const { String::new() }; COLUMNS];
    cells[0] = name;
    cells[2] = count(rate.median);
    cells[3] = format!("{} .. {}", count(rate.min), count(rate.max));
    cells[4] = nanos(1e9 / rate.median);
    if let Some(processor) = measured.processor_ns {
        cells[5] = nanos(processor.median);
    }
    if let Some(ratio) = ratio {
        cells[6] = format!("{:.2}", ratio.median);
        cells[7] = format!("{:.2} .. {:.2}", ratio.min, ratio.max);
    }
    if let Some(latency) = measured.latency {
        cells[8] = format!("{:.0}", latency.p50_us);
        cells[9] = format!("{:.0}", latency.p99_us);
    }
    cells
}

/// Three digits and a unit: 1234567 is 1.23 M.
fn count(value: f64) -> String {
    let (scaled, unit) = match value {
        value if value >= 1e6 => (value / 1e6, " M"),
        value if value >= 1e3 => (value / 1e3, " k"),
        value => (value, ""),
    };
    match scaled {
        scaled if scaled >= 100.0 => format!("{scaled:.0}{unit}"),
        scaled if scaled >= 10.0 => format!("{scaled:.1}{unit}"),
        scaled => format!("{scaled:.2}{unit}"),
    }
}

fn nanos(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_three_digits_and_a_unit() {
        let shown = [0.5, 12.34, 999.4, 1234.0, 56_789.0, 1_234_567.0].map(count);
        assert_eq!(shown, ["0.50", "12.3", "999", "1.23 k", "56.8 k", "1.23 M"]);
    }
}
