//! From the IPLD form to statements, under the rules of a profile.

use ipld_core::ipld::Ipld;

use super::{Comparison, Glob, PolicyError, Selector, Statement};
use crate::profile::Profile;

struct Parser {
    profile: Profile,
    nodes: usize,
}

/// Parses the list of top-level statements.
pub(super) fn statements(source: &[Ipld], profile: Profile) -> Result<Vec<Statement>, PolicyError> {
    Parser { profile, nodes: 0 }.list(source, 1)
}

impl Parser {
    fn list(&mut self, source: &[Ipld], depth: usize) -> Result<Vec<Statement>, PolicyError> {
        source.iter().map(|statement| self.statement(statement, depth)).collect()
    }

    fn statement(&mut self, source: &Ipld, depth: usize) -> Result<Statement, PolicyError> {
        let limit = self.profile.policy_depth();
        if depth > limit {
            return Err(PolicyError::TooDeep { limit });
        }
        let limit = self.profile.policy_nodes();
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > limit {
            return Err(PolicyError::TooManyStatements { limit });
        }
        let Ipld::List(parts) = source else { return Err(PolicyError::NotAStatement) };
        let Some((Ipld::String(operator), operands)) = parts.split_first() else {
            return Err(PolicyError::NotAStatement);
        };
        match operator.as_str() {
            "==" => self.compare("==", Comparison::Equal, operands),
            "!=" => {
                self.refuse_in_strict("`!=`")?;
                self.compare("!=", Comparison::NotEqual, operands)
            }
            "<" => self.compare("<", Comparison::Less, operands),
            "<=" => self.compare("<=", Comparison::LessOrEqual, operands),
            ">" => self.compare(">", Comparison::Greater, operands),
            ">=" => self.compare(">=", Comparison::GreaterOrEqual, operands),
            "like" => self.like(operands),
            "and" => Ok(Statement::And(self.connective("and", operands, depth)?)),
            "or" => {
                let statements = self.connective("or", operands, depth)?;
                if statements.is_empty() {
                    self.refuse_in_strict("an empty `or`")?;
                }
                Ok(Statement::Or(statements))
            }
            "not" => {
                self.refuse_in_strict("`not`")?;
                let [inner] = operands else {
                    return Err(PolicyError::Operands { operator: "not", expected: "one statement" });
                };
                Ok(Statement::Not(Box::new(self.statement(inner, depth.saturating_add(1))?)))
            }
            "all" => self.quantify("all", true, operands, depth),
            "any" => self.quantify("any", false, operands, depth),
            other => Err(PolicyError::UnknownOperator(other.chars().take(16).collect())),
        }
    }

    fn refuse_in_strict(&self, what: &'static str) -> Result<(), PolicyError> {
        if self.profile.is_strict() { Err(PolicyError::FailsOpen { what }) } else { Ok(()) }
    }

    fn selector(&self, text: &str) -> Result<Selector, PolicyError> {
        let selector = Selector::parse(text)?;
        if selector.has_optional() {
            self.refuse_in_strict("an optional selector (`?`)")?;
        }
        Ok(selector)
    }

    fn compare(
        &self,
        operator: &'static str,
        comparison: Comparison,
        operands: &[Ipld],
    ) -> Result<Statement, PolicyError> {
        let any_literal = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let expected = if any_literal { "a selector and a value" } else { "a selector and a number" };
        let wrong = PolicyError::Operands { operator, expected };
        let [Ipld::String(selector), literal] = operands else { return Err(wrong) };
        if !any_literal && !matches!(literal, Ipld::Integer(_) | Ipld::Float(_)) {
            return Err(wrong);
        }
        let selector = self.selector(selector)?;
        Ok(Statement::Compare { operator: comparison, selector, literal: literal.clone() })
    }

    fn like(&self, operands: &[Ipld]) -> Result<Statement, PolicyError> {
        let [Ipld::String(selector), Ipld::String(pattern)] = operands else {
            return Err(PolicyError::Operands { operator: "like", expected: "a selector and a pattern" });
        };
        Ok(Statement::Like { selector: self.selector(selector)?, pattern: Glob::parse(pattern) })
    }

    fn connective(
        &mut self,
        operator: &'static str,
        operands: &[Ipld],
        depth: usize,
    ) -> Result<Vec<Statement>, PolicyError> {
        let [Ipld::List(inner)] = operands else {
            return Err(PolicyError::Operands { operator, expected: "one list of statements" });
        };
        self.list(inner, depth.saturating_add(1))
    }

    fn quantify(
        &mut self,
        operator: &'static str,
        every: bool,
        operands: &[Ipld],
        depth: usize,
    ) -> Result<Statement, PolicyError> {
        let [Ipld::String(selector), inner] = operands else {
            return Err(PolicyError::Operands { operator, expected: "a selector and a statement" });
        };
        let selector = self.selector(selector)?;
        let statement = Box::new(self.statement(inner, depth.saturating_add(1))?);
        Ok(Statement::Quantify { every, selector, statement })
    }
}
