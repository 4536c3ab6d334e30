DROP TABLE control.outbox;
DROP TABLE control.case_evidence;
DROP TABLE control.cases;
DROP TABLE control.unknown_holds;
DROP TABLE control.refusals;
