-- Reads one address over and over. Each answer's status and, where it is given, whole body must be the expected ones;
-- what differs is counted. wrk -s check.lua URL -- STATUS [FILE WITH THE BODY]
local threads = {}

function setup(thread)
    table.insert(threads, thread)
end

function init(arguments)
    checked, wrong = 0, 0
    local wanted, body_file = tonumber(arguments[1]), arguments[2]
    local expected
    if body_file then
        local file = assert(io.open(body_file, "rb"))
        expected = file:read("*a")
        file:close()
    end
    -- LuaJIT keeps equal strings once, so what this costs is the comparison with what is there already.
    function response(status, _, body)
        checked = checked + 1
        if status ~= wanted or (expected and body ~= expected) then
            wrong = wrong + 1
        end
    end
end

function done(summary, latency, _)
    local all_checked, all_wrong = 0, 0
    for _, thread in ipairs(threads) do
        all_checked = all_checked + thread:get("checked")
        all_wrong = all_wrong + thread:get("wrong")
    end
    local errors = summary.errors
    io.write(string.format(
        'RESULT {"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "checked": %d, "wrong": %d, '
            .. '"connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
        summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), all_checked, all_wrong,
        errors.connect, errors.read, errors.write, errors.timeout
    ))
end
