pub(in crate::core::rules) fn nearest() {}
