//! Renders the results as Markdown tables, as JSON, and as a chart.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::scenario::{ALL, Figures, Kind};

/// Height of a bar and the gap below it, in pixels.
const BAR: usize = 14;

/// The median round of each cell, by server and scenario; `None` if it was not measured.
pub struct Report {
    pub servers: Vec<&'static str>,
    pub cells: Vec<Vec<Option<Figures>>>,
}

/// Returns the round with the median cost; `None` if there are no rounds.
pub fn median(mut rounds: Vec<Figures>) -> Option<Figures> {
    rounds.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    rounds.get(rounds.len() / 2).copied()
}

fn cell(figures: Figures) -> Value {
    json!({
        "cost": figures.cost,
        "per_second": figures.per_second,
        "p50_p99_p999_us": figures.latency_us,
        "resident_kib": figures.usage.resident_kib,
        "page_tables_kib": figures.usage.page_tables_kib,
        "threads": figures.usage.threads,
    })
}

/// The median round of the chat, by server.
pub struct Chat(pub Vec<(&'static str, Option<Figures>)>);

impl Chat {
    pub fn markdown(&self) -> String {
        let mut table = String::from(
            "| chat, 1 to 1000 members, 100 messages/s | CPU per delivery, µs | median, ms | p99, ms |\n|---|---|---|---|",
        );
        for (server, figures) in &self.0 {
            let Some(Figures { cost, latency_us: Some([median, p99, _]), .. }) = figures else {
                continue;
            };
            let [median, p99] = [median, p99].map(|latency| rounded(latency / 1000.0));
            let _ = write!(table, "\n| {server} | {} | {median} | {p99} |", rounded(*cost));
        }
        table + "\n"
    }

    pub fn json(&self) -> Value {
        let rows =
            self.0.iter().map(|(server, figures)| ((*server).to_owned(), json!(figures.map(cell))));
        Value::Object(rows.collect())
    }
}

impl Report {
    /// Renders a table with the cost of each cell and its ratio to the first server's.
    pub fn markdown(&self) -> String {
        let mut table = String::from("| server CPU per message, µs (ratio to raw TCP) |");
        for scenario in &ALL {
            let unit = if matches!(scenario.kind, Kind::Idle(_)) { ", KiB each" } else { "" };
            let _ = write!(table, " {}{unit} |", scenario.name);
        }
        table += "\n|---|";
        table += &"---|".repeat(ALL.len());
        for (server, cells) in self.servers.iter().zip(&self.cells) {
            let _ = write!(table, "\n| {server} |");
            for (column, cell) in cells.iter().enumerate() {
                let base = self.cells[0][column].map(|base| base.cost);
                let _ = match (cell, base) {
                    (Some(cell), Some(base)) if base > 0.0 => {
                        write!(table, " {} ({:.2}) |", rounded(cell.cost), cell.cost / base)
                    }
                    (Some(cell), _) => write!(table, " {} |", rounded(cell.cost)),
                    (None, _) => write!(table, " – |"),
                };
            }
        }
        table + "\n"
    }

    pub fn json(&self) -> Value {
        let rows = self.servers.iter().zip(&self.cells).map(|(server, cells)| {
            let named = ALL
                .iter()
                .zip(cells)
                .map(|(scenario, figures)| (scenario.name.to_owned(), json!(figures.map(cell))));
            ((*server).to_owned(), Value::Object(named.collect()))
        });
        Value::Object(rows.collect())
    }

    /// Renders a group of bars for each scenario, three side by side, as ratios to the first
    /// server.
    pub fn svg(&self) -> String {
        const ACROSS: usize = 3;
        const WIDTH: usize = 310;
        let height = 40 + BAR * self.servers.len();
        let total = 40 + height * ALL.len().div_ceil(ACROSS);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{total}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"11\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
             <text x=\"12\" y=\"24\" font-size=\"15\">Server CPU per message beside raw TCP in threads (1.00); idle: memory. Less is better.</text>\n",
            ACROSS * WIDTH + 12
        );
        for column in 0..ALL.len() {
            let (x, y) = (WIDTH * (column % ACROSS), 40 + height * (column / ACROSS));
            let _ = writeln!(svg, "<g transform=\"translate({x} {y})\">");
            svg += &self.group(column);
            svg += "</g>\n";
        }
        svg + "</svg>\n"
    }

    /// Renders the bars of one scenario.
    fn group(&self, column: usize) -> String {
        const COLOURS: [&str; 9] = [
            "#8a8f98", "#0b6e75", "#3fa39b", "#c98a2b", "#7a5ea8", "#4a7fc1", "#b0554a", "#6b7f3a",
            "#33415c",
        ];
        const SCALE: f64 = 36.0; // pixels for a ratio of one
        const LONGEST: f64 = 4.0; // longer bars are cut
        let name = ALL[column].name;
        let mut group = format!("<text x=\"12\" y=\"14\" font-weight=\"600\">{name}</text>\n");
        let Some(base) = self.cells[0][column].filter(|base| base.cost > 0.0) else { return group };
        for (row, server) in self.servers.iter().enumerate() {
            let Some(cell) = self.cells[row][column] else { continue };
            let (ratio, y) = (cell.cost / base.cost, 22 + BAR * row);
            let width = SCALE * ratio.min(LONGEST);
            let _ = writeln!(
                group,
                "<text x=\"122\" y=\"{}\" text-anchor=\"end\">{server}</text>\
                 <rect x=\"128\" y=\"{y}\" width=\"{width:.1}\" height=\"10\" fill=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{ratio:.2}</text>",
                y + 9,
                COLOURS[row % COLOURS.len()],
                132.0 + width,
                y + 9,
            );
        }
        group
    }
}

fn rounded(value: f64) -> String {
    match value {
        0.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
