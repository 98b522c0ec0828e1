# Runs on a machine. The first line of its input is JSON: the way to the database, and above which number its rows are. Inserts one
# row after the other, each committed by itself, until its input ends, and prints for each what became of it, and when, on the clock
# that all machines share.
import json
import select
import sys
import time

import psycopg2

ask = json.loads(sys.stdin.readline())


def connect():
    return psycopg2.connect(
        ask["connectionString"],
        password=ask["password"],
        sslrootcert=ask["caFile"],
        connect_timeout=2,
        tcp_user_timeout=3000,
    )


def tell(**what):
    print(json.dumps({"at": time.time(), **what}), flush=True)


connection = None
number = ask["first"]
while not select.select([sys.stdin], [], [], 0.02)[0]:
    # A number whose commit was not answered may be there or not; it is never used again.
    number += 1
    try:
        if connection is None:
            connection = connect()
            connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO written (number) VALUES (%s)", (number,))
        tell(written=number)
    except psycopg2.Error as error:
        tell(failed=number, why=str(error).strip().split("\n")[0])
        if connection is not None:
            connection.close()
            connection = None
