using System.Globalization;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Responses;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Lamina.Coordinator.Quotas;

/// <summary><c>GET /v1/usage?from=2026-01-31&amp;to=2026-02-01</c>: what the caller's tenant used, by day of UTC, key and model, with what runs at the moment.</summary>
internal sealed class UsageEndpoint(QuotaControl quotas, TimeProvider time)
{
    public const string Route = "/v1/usage";
    private const int MaxDays = 366;

    public void Map(IEndpointRouteBuilder routes) => routes.MapGet(Route, AnswerAsync).Require(KeyScopes.Usage);

    private async Task AnswerAsync(HttpContext context)
    {
        Caller caller = Caller.Of(context);
        UsageLedger ledger = quotas.Ledger ?? throw ApiError.InvalidBody("this server keeps no state, and so no usage").AsException();
        long today = DayBudget.DayOf(time.GetUtcNow().ToUnixTimeMilliseconds());
        long last = Day(context.Request.Query["to"], "to") ?? today;
        long first = Day(context.Request.Query["from"], "from") ?? last;
        if (first > last || last - first >= MaxDays)
        {
            throw ApiError.InvalidValue("from", $"'from' must not be after 'to', and at most {MaxDays} days may lie between them").AsException();
        }

        IReadOnlyList<UsageDayRow> rows = await ledger.ReadAsync(caller.Tenant, first, last, context.RequestAborted);
        await JsonBody.WriteAsync(context, json =>
        {
            json.WriteStartObject();
            json.WriteString("object", "usage");
            json.WriteString("tenant", caller.Tenant.Value);
            json.WriteString("from", Text(first));
            json.WriteString("to", Text(last));
            json.WriteNumber("requests", rows.Sum(row => row.Requests));
            json.WriteNumber("prompt_tokens", rows.Sum(row => row.PromptTokens));
            json.WriteNumber("generated_tokens", rows.Sum(row => row.GeneratedTokens));
            json.WriteStartArray("data");
            foreach (UsageDayRow row in rows)
            {
                json.WriteStartObject();
                json.WriteString("day", Text(row.Day));
                json.WriteString("key", row.Key.Length == 0 ? null : row.Key);
                json.WriteString("model", row.Model);
                json.WriteNumber("requests", row.Requests);
                json.WriteNumber("prompt_tokens", row.PromptTokens);
                json.WriteNumber("generated_tokens", row.GeneratedTokens);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static long? Day(string? text, string name) =>
        string.IsNullOrEmpty(text) ? null
        : DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly day) ? day.DayNumber - DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber
        : throw ApiError.InvalidValue(name, $"'{name}' must be a day such as 2026-01-31").AsException();

    private static string Text(long day) => DateOnly.FromDateTime(DateTime.UnixEpoch.AddDays(day)).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
