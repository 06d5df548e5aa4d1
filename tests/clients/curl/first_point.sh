bridge=${1:-http://127.0.0.1:6007}
curl --fail-with-body -sS "$bridge/api/v1/write" -H 'Content-Type: application/json' \
  -d '{"runs": [{"run": "curl/first", "scalars": [{"tag": "loss", "values": [0.9, 0.7, "NaN"]}]}]}'
curl --fail-with-body -sSG "$bridge/api/v1/scalars" -d run=curl/first -d tag=loss
