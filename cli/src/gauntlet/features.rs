//! What sets machines and tests apart, as far as a scheduler may care.

use ktstr::{Description, Machine};

/// A feature of a machine together with one of a test.
pub(super) type Pair = (&'static str, String);

/// All pairs of a test on its machine. The test's name is among its features, so that no test is taken for another.
pub(super) fn pairs(description: &Description) -> Vec<Pair> {
    let of_test: Vec<&str> =
        description.features.iter().map(String::as_str).chain([description.test.as_str()]).collect();
    let pair = |machine: &'static str| of_test.iter().map(move |test| (machine, (*test).to_owned()));
    of_machine(&description.machine).into_iter().flat_map(pair).collect()
}

fn of_machine(machine: &Machine) -> Vec<&'static str> {
    let topology = &machine.topology;
    let llcs = match topology.llcs {
        0..=1 => "one LLC",
        2 => "two LLCs",
        3..=4 => "few LLCs",
        5..=8 => "many LLCs",
        _ => "very many LLCs",
    };
    let size = match topology.cpus() {
        0..=4 => "up to 4 CPUs",
        5..=16 => "up to 16 CPUs",
        17..=64 => "up to 64 CPUs",
        65..=128 => "up to 128 CPUs",
        _ => "more CPUs than 128",
    };
    let nodes = match topology.numa_nodes {
        0..=1 => "one node",
        2 => "two nodes",
        _ => "more nodes than two",
    };
    let smt = if topology.threads_per_core > 1 { "SMT" } else { "no SMT" };
    let with_cpus = machine.nodes.iter().filter(|node| node.llcs > 0);
    let differ = |values: Vec<u64>| values.iter().max() > values.iter().min();
    // Spread evenly, memory differs by what does not divide.
    let memory = with_cpus.clone().map(|node| node.memory_bytes >> 26).collect();
    let apart = machine.distances.iter().flatten().filter(|distance| **distance != Machine::LOCAL_DISTANCE);
    let special = [
        ("an odd number of LLCs", topology.llcs > 1 && topology.llcs % 2 == 1),
        ("LLCs unlike by node", differ(with_cpus.map(|node| u64::from(node.llcs)).collect())),
        ("memory unlike by node", differ(memory)),
        ("a node without CPUs", machine.nodes.iter().any(|node| node.llcs == 0)),
        ("distances unlike", differ(apart.map(|distance| u64::from(*distance)).collect())),
    ];
    let special = special.into_iter().filter(|(_, is_so)| *is_so).map(|(feature, _)| feature);
    [llcs, size, nodes, smt].into_iter().chain(special).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ktstr::{PRESETS, TestSpec, Topology};

    /// A test on a preset, as it describes itself.
    pub(in super::super) fn description(test: &str, preset: &'static ktstr::Preset) -> Description {
        let spec = TestSpec::new("crate::test", Topology::new(1, 1, 1)).on(preset);
        Description {
            name: format!("{test}::{}", preset.function()),
            test: test.to_owned(),
            preset: Some(preset.name.to_owned()),
            machine: spec.machine(1 << 30),
            duration_s: 2.0,
            replicas: 1,
            profiles: vec![None],
            features: vec!["2 workers".to_owned()],
            schedulers: Vec::new(),
        }
    }

    fn check(preset: &str, expected: &[&str]) {
        assert_eq!(of_machine(&description("a", ktstr::preset(preset).unwrap()).machine), expected, "{preset}");
    }

    #[test]
    fn machines_have_their_features() {
        check("tiny-1llc", &["one LLC", "up to 4 CPUs", "one node", "no SMT"]);
        check("odd-7llc", &["many LLCs", "up to 16 CPUs", "one node", "no SMT", "an odd number of LLCs"]);
        check("max-cpu", &["very many LLCs", "more CPUs than 128", "one node", "SMT", "an odd number of LLCs"]);
        check(
            "numa-line",
            &[
                "few LLCs",
                "up to 16 CPUs",
                "more nodes than two",
                "no SMT",
                "an odd number of LLCs",
                "distances unlike",
            ],
        );
        let all = ["LLCs unlike by node", "memory unlike by node", "a node without CPUs", "distances unlike"];
        check(
            "numa-uneven",
            &[&["few LLCs", "up to 16 CPUs", "two nodes", "SMT", "an odd number of LLCs"][..], &all].concat(),
        );
    }

    #[test]
    fn every_feature_is_that_of_a_preset() {
        let mut features: Vec<&str> =
            PRESETS.iter().flat_map(|preset| of_machine(&description("a", preset).machine)).collect();
        features.sort_unstable();
        features.dedup();
        assert_eq!(features.len(), 20, "{features:?}");
    }
}
