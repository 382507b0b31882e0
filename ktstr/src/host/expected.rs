//! Tests that are to fail, and for what.

use crate::guest::Outcome;
use crate::host::observations::Observations;
use crate::verdict::{Finding, Verdict};

/// The verdict on a run that is to fail for this reason, and what it rightly failed with.
///
/// One fault shows in many checks, so other findings of the test itself may come along. What else went wrong, such as a
/// complaint of the kernel, may not. What could not be told stays so.
pub(crate) fn expect(verdict: Verdict, reason: Option<&str>, seen: &Observations) -> (Verdict, Vec<Finding>) {
    let Some(reason) = reason else { return (verdict, Vec::new()) };
    let complaint = |what| Finding::new("expect_err", format!("the run was to fail with {reason:?}, {what}"));
    match verdict {
        Verdict::Pass => (Verdict::Fail { findings: vec![complaint("but it passed")] }, Vec::new()),
        Verdict::Fail { findings } => {
            let complaint = if !findings.iter().any(|finding| is_for(reason, finding)) {
                complaint("but it failed otherwise")
            } else if !findings.iter().all(|finding| is_for(reason, finding) || is_of_test(finding, seen)) {
                complaint("and failed for more than that")
            } else {
                return (Verdict::Pass, findings);
            };
            (Verdict::Fail { findings: [vec![complaint], findings].concat() }, Vec::new())
        }
        other @ (Verdict::Skip { .. } | Verdict::Inconclusive { .. }) => (other, Vec::new()),
    }
}

fn is_for(reason: &str, finding: &Finding) -> bool {
    finding.asserted == reason || finding.to_string().contains(reason)
}

fn is_of_test(finding: &Finding, seen: &Observations) -> bool {
    match &seen.outcome {
        Some(Outcome::Finished(result)) => result.findings.contains(finding),
        // A body that cannot go on without what failed says so.
        Some(Outcome::Error(_)) => finding.asserted == "body_succeeds",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert::AssertResult;

    fn check(verdict: &Verdict, reason: &str, expected: &str) {
        let findings = vec![Finding::new("max_gap_ms", "4 s on CPU 1"), Finding::new("not_starved", "no work")];
        let outcome = Outcome::Finished(AssertResult { findings, ..AssertResult::default() });
        let seen = Observations { outcome: Some(outcome), ..Observations::default() };
        let (got, failed_with) = expect(verdict.clone(), Some(reason), &seen);
        assert!(got.to_string().contains(expected), "{got}");
        assert_eq!(got == Verdict::Pass, !failed_with.is_empty());
        assert_eq!(expect(verdict.clone(), None, &seen), (verdict.clone(), Vec::new()));
    }

    #[test]
    fn only_the_named_failure_is_a_pass() {
        let gap = Finding::new("max_gap_ms", "4 s on CPU 1");
        let starved = Finding::new("not_starved", "no work");
        let warning = Finding::new("kernel_healthy", "kernel warning on the console");
        let fail = |findings: &[&Finding]| Verdict::Fail { findings: findings.iter().copied().cloned().collect() };
        check(&fail(&[&gap]), "max_gap_ms", "Pass");
        check(&fail(&[&gap]), "4 s on CPU", "Pass");
        check(&fail(&[&gap, &starved]), "max_gap_ms", "Pass");
        check(&fail(&[&gap, &warning]), "warning", "Pass");
        check(&fail(&[&starved]), "max_gap_ms", "the run was to fail with \"max_gap_ms\", but it failed otherwise");
        check(&fail(&[&gap, &warning]), "max_gap_ms", "and failed for more than that");
        check(&Verdict::Pass, "max_gap_ms", "but it passed");
        check(&Verdict::Inconclusive { reason: "no kernel".to_owned() }, "max_gap_ms", "Inconclusive: no kernel");
    }
}
