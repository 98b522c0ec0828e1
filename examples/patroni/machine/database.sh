#!/bin/sh
# Patroni runs this once in a cluster's life, on the first primary, with the way to it as its argument: makes the applications' database.
exec psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --file /etc/patroni/database.sql "$1"
