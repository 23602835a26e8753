//! What the state takes in memory, by part: counted, not sampled. `cargo bench --bench memory`

#[path = "all/footprint.rs"]
mod footprint;
#[path = "all/load.rs"]
mod load;

use footprint::Footprint;

fn main() {
    println!("{:<44} {:>12} {:>12}", "bytes, of which", "a lift", "a cylinder");
    let (lift, cylinder) = (footprint::of_lifts(25_000), footprint::of_cylinders(162_000));
    let row = |what: &str, of: &dyn Fn(&Footprint) -> f64| {
        println!("{what:<44} {:>12.1} {:>12.1}", of(&lift), of(&cylinder));
    };
    row("the structure itself", &|it| it.own);
    row("its own heap: runs of rules, rare state", &|it| it.heap);
    row("index and timers", &|it| it.index_and_timers);
    row("archive entry", &|it| it.archive_entry);
    row("asked for in all", &Footprint::asked_for);
    row("blocks of the allocator", &|it| it.blocks);
    row("all in, with the allocator's share", &Footprint::all_in);
    println!("{:<44} {:>12} {:>12}", "the budget", 1_024, 256);
}
