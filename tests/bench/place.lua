-- Place one prepared cart after another: each line of the file named by CARTS is "buyer cart quote".
local carts, sent = {}, 0
local delay_ms = tonumber(os.getenv("DELAY_MS") or "0")

function init(args)
    local first = tonumber(os.getenv("FIRST") or "1")
    local number = 0
    for line in io.lines(os.getenv("CARTS")) do
        number = number + 1
        if number >= first then
            carts[#carts + 1] = line
        end
    end
end

if delay_ms > 0 then
    function delay()
        return delay_ms
    end
end

function request()
    sent = sent + 1
    local buyer, cart, quote = string.match(carts[sent] or error("no carts left"), "(%d+) (%d+) (%x+)")
    local headers = {
        ["Authorization"] = "Bearer " .. os.getenv("KEY"),
        ["Content-Type"] = "application/json",
        ["Idempotency-Key"] = "bench-" .. cart,
    }
    local body = '{"quote":"' .. quote .. '","method":"tok_ok"}'
    return wrk.format("POST", "/api/v1/buyers/" .. buyer .. "/carts/" .. cart .. "/place", headers, body)
end

function done(summary, latency, requests)
    io.write(string.format(
        'RESULT {"requests":%d,"duration_us":%d,"refused":%d,"errors":%d,"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, summary.errors.status,
        summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
