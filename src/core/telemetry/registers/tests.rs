use super::*;

#[test]
fn every_kept_field_has_its_slot() {
    for (at, field) in FIELDS.into_iter().enumerate() {
        assert_eq!(slot(field), Some(at), "{field:?}");
    }
    for field in [Field::DoorShut, Field::NormalRun, Field::DeviceEquipment, Field::ScanEvent, Field::ObligationKind] {
        assert_eq!(slot(field), None, "{field:?}");
    }
}

fn take(registers: &mut Registers, seq: u64, frame: Frame) -> Taken {
    let stamp = Stamp::new(0, FrameKey { boot: 1, seq });
    registers.take(
        &frame,
        stamp,
        Elapsed(1_000 * seq as i64),
        Came::InOrder,
        &Moments::default(),
        Wanted { extras: &[], windows: &[] },
    )
}

fn listing(faults: &[u32], has_status: bool) -> Frame {
    Frame { faults: Listed { items: faults.to_vec(), partial: false }, has_status, ..Frame::default() }
}

fn fault(registers: &Registers, code: u32) -> Tri {
    registers.code(CodeList::Fault, code, Elapsed(1_000_000), Elapsed(0))
}

#[test]
fn a_late_frame_writes_what_is_older_and_nothing_else() {
    let mut registers = Registers::default();
    take(&mut registers, 5, Frame { passenger: Reported::Known(true), ..Frame::default() });
    let late = Frame { passenger: Reported::Known(false), floor: Reported::Known(3), ..Frame::default() };
    let taken = take(&mut registers, 4, late);
    assert_eq!(registers.register(Field::Passenger).unwrap().held, Held::Known(1));
    assert_eq!(registers.register(Field::Floor).unwrap().held, Held::Known(3));
    assert!(
        taken.changed.touches(Reads::field(Field::Floor)) && !taken.changed.touches(Reads::field(Field::Passenger))
    );
}

#[test]
fn a_status_frame_is_the_whole_set_and_another_adds_to_it() {
    let mut registers = Registers::default();
    assert_eq!(fault(&registers, 3), Tri::Unknown, "nothing was ever reported");
    take(&mut registers, 1, listing(&[3], false));
    assert_eq!((fault(&registers, 3), fault(&registers, 4)), (Tri::True, Tri::Unknown));
    take(&mut registers, 2, listing(&[4], true));
    assert_eq!((fault(&registers, 3), fault(&registers, 4)), (Tri::False, Tri::True));
    take(&mut registers, 3, listing(&[5], false));
    assert_eq!((fault(&registers, 4), fault(&registers, 5)), (Tri::True, Tri::True));
    let partial = Frame { faults: Listed { items: vec![6], partial: true }, has_status: true, ..Frame::default() };
    take(&mut registers, 4, partial);
    assert_eq!((fault(&registers, 5), fault(&registers, 6)), (Tri::True, Tri::True), "a bad list removes none");
    take(&mut registers, 5, listing(&[], true));
    assert_eq!((fault(&registers, 4), fault(&registers, 6)), (Tri::False, Tri::False));
}

#[test]
fn what_a_source_clears_is_over_without_status() {
    let mut registers = Registers::default();
    let trapped = |on: bool| Frame {
        conditions: Listed { items: if on { vec!["trapped".into()] } else { vec![] }, partial: false },
        cleared: if on { vec![] } else { vec![Ended::Condition("trapped".into())] },
        ..Frame::default()
    };
    take(&mut registers, 1, trapped(true));
    assert_eq!(registers.condition("trapped"), Tri::True);
    take(&mut registers, 2, trapped(false));
    assert_eq!(registers.condition("trapped"), Tri::False);
    take(&mut registers, 1, trapped(true));
    assert_eq!(registers.condition("trapped"), Tri::False, "an older frame doesn't bring it back");
}

#[test]
fn a_late_code_that_a_newer_status_excludes_is_over() {
    let mut registers = Registers::default();
    take(&mut registers, 9, listing(&[], true));
    let taken = take(&mut registers, 8, listing(&[3], true));
    assert_eq!(taken.over, [Item::Fault(3)]);
    assert_eq!(fault(&registers, 3), Tri::False);
}

#[test]
fn a_pressed_alarm_counts_for_a_minute() {
    let mut registers = Registers::default();
    let pressed = Frame { alarms: Listed { items: vec![90], partial: false }, has_status: true, ..Frame::default() };
    take(&mut registers, 10, pressed);
    take(&mut registers, 11, listing(&[], true));
    let alarm = |at_s: i64| registers.code(CodeList::Alarm, 90, Elapsed(at_s * 1_000), Elapsed(0));
    assert_eq!((alarm(69), alarm(70)), (Tri::True, Tri::False));
    assert_eq!(registers.next_change(Elapsed(11_000), &Moments::default()), Some(Elapsed(70_000)));
}

#[test]
fn a_run_makes_the_zone_unknown() {
    let mut registers = Registers::default();
    take(&mut registers, 1, Frame { door_zone: Reported::Known(true), ..Frame::default() });
    take(&mut registers, 2, Frame { car: Reported::Known(crate::model::frame::Car::Running), ..Frame::default() });
    take(&mut registers, 3, Frame { car: Reported::Known(crate::model::frame::Car::Stopped), ..Frame::default() });
    assert_eq!(registers.register(Field::DoorZone).unwrap().held, Held::Unknown);
}

#[test]
fn active_items_are_bounded() {
    let mut registers = Registers::default();
    for seq in 1..=50 {
        let codes: Vec<u32> = (0..64).map(|n| seq as u32 * 64 + n).collect();
        take(&mut registers, seq, listing(&codes, false));
    }
    assert_eq!(registers.active.len(), limits::ACTIVE_ITEMS);
}
