//! `karoctl store`: look after the store, through the daemon that has it open.

use karo_protocol::local::{Compacted, Reply, Request, Verified};

use super::cli::StoreCommand;
use super::exit::{Exit, Trouble};
use super::json;
use super::scene::Scene;
use super::shown::{Newline, shown};
use super::status::{self, bytes};
use crate::connection::{ConnectionError, Patience};

/// Runs the command.
///
/// # Errors
///
/// When there is no answer.
pub fn run(scene: &mut Scene, command: StoreCommand) -> Result<Exit, Trouble> {
    match command {
        StoreCommand::Info => info(scene),
        StoreCommand::Verify => verify(scene),
        StoreCommand::Compact => compact(scene),
    }
}

fn info(scene: &mut Scene) -> Result<Exit, Trouble> {
    let status = status::ask(&mut scene.connect()?)?;
    if scene.is_json {
        json::write_line(&mut scene.out, &status::store_json(&status))?;
    } else {
        let text = status::store_text(&status, scene.now());
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(if status.store.damage > 0 { Exit::Damaged } else { Exit::Done })
}

fn verify(scene: &mut Scene) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::Verified(verified) = connection.ask(&Request::StoreVerify(()))? else {
        return Err(ConnectionError::Unexpected("what a check of the store found").into());
    };
    if scene.is_json {
        json::write_line(&mut scene.out, &verified)?;
    } else {
        scene.out.write_all(verified_text(&verified).as_bytes())?;
    }
    let is_sound = verified.damage_count == 0 && verified.views_agree;
    Ok(if is_sound { Exit::Done } else { Exit::Damaged })
}

fn verified_text(verified: &Verified) -> String {
    let mut text = format!("{} records in {} segments are sound\n", verified.records, verified.segments);
    for damage in &verified.damage {
        let reason = shown(damage.reason.as_bytes(), Newline::Arrow);
        text.push_str(&format!("damage in {} at byte {}: {reason}\n", damage.segment, damage.offset));
    }
    let more = verified.damage_count.saturating_sub(verified.damage.len() as u64);
    if more > 0 {
        text.push_str(&format!("and {more} more places\n"));
    }
    if verified.damage_count > 0 {
        text.push_str(
            "what is damaged is skipped; all else stays readable, and a backup can be imported again\n",
        );
    }
    text.push_str(match verified.views_agree {
        true => "the views are what the log says\n",
        false => "the views are not what the log says; restart karod with the views moved away, it makes them anew\n",
    });
    text
}

fn compact(scene: &mut Scene) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let Reply::Compacted(compacted) = connection.ask(&Request::StoreCompact(()))? else {
        return Err(ConnectionError::Unexpected("what compaction did").into());
    };
    if scene.is_json {
        json::write_line(&mut scene.out, &compacted)?;
    } else {
        let Compacted { bytes_before, bytes_after, segments } = compacted;
        writeln!(
            scene.out,
            "{segments} segments rewritten, {} before, {} after",
            bytes(bytes_before),
            bytes(bytes_after)
        )?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use karo_protocol::local::Damage;

    use super::*;

    #[test]
    fn damage_is_named() {
        let damage = Damage { segment: "000007.log".to_owned(), offset: 512, reason: "checksum".to_owned() };
        let verified =
            Verified { segments: 2, records: 10, damage: vec![damage], damage_count: 3, views_agree: true };
        assert_eq!(
            verified_text(&verified),
            "10 records in 2 segments are sound\n\
             damage in 000007.log at byte 512: checksum\n\
             and 2 more places\n\
             what is damaged is skipped; all else stays readable, and a backup can be imported again\n\
             the views are what the log says\n"
        );
    }
}
