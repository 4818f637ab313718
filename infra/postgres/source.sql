-- The shop's database as change data capture needs it: tables, role, publication, slot. May be run again at any time.
-- `lakehouse connector deploy --init` runs it on LAKEHOUSE_SOURCE_URL. On a server of your own the log level comes first:
--   alter system set wal_level = logical;   and then a restart of the server
do $$
begin
    if current_setting('wal_level') <> 'logical' then
        raise exception 'wal_level is %, but logical is needed: alter system set wal_level = logical, then restart',
            current_setting('wal_level');
    end if;
end
$$;

create table if not exists public.customers (
    id bigint primary key,
    name text not null,
    email text not null,
    city text,
    updated_at timestamptz not null default now()
);

create table if not exists public.orders (
    id bigint primary key,
    customer_id bigint not null,
    amount numeric(12, 2) not null,
    status text not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now()
);

-- The whole row before an update or delete, not its key alone.
alter table public.customers replica identity full;
alter table public.orders replica identity full;

-- The embedded server has the role already, with a password. Elsewhere: alter role debezium password '…'
do $$
begin
    if not exists (select from pg_roles where rolname = 'debezium') then
        create role debezium login replication;
    end if;
end
$$;
grant usage on schema public to debezium;
grant select on public.customers, public.orders to debezium;

-- Made by the owner of the tables, so that the role needs no ownership.
do $$
begin
    if not exists (select from pg_publication where pubname = 'dbz_publication') then
        create publication dbz_publication for table public.orders, public.customers;
    end if;
end
$$;

-- A slot keeps the log until its reader has seen it. Without a reader it fills the disk: see max_slot_wal_keep_size.
select pg_create_logical_replication_slot('debezium_slot', 'pgoutput')
where not exists (select from pg_replication_slots where slot_name = 'debezium_slot');
