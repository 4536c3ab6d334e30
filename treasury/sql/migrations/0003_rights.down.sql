REVOKE ALL ON ALL TABLES IN SCHEMA treasury FROM tollhouse_treasury, tollhouse_relay;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA treasury FROM tollhouse_treasury, tollhouse_relay;
REVOKE ALL ON SCHEMA treasury FROM tollhouse_treasury, tollhouse_relay;
