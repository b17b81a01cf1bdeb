using System.Globalization;
using System.Text.Json;
using Lamina.Coordinator.Api.Responses;

namespace Lamina.Coordinator.Audit;

/// <summary>
/// One thing that happened: who, what, when, with what result. Never what was said: no field takes text of prompts or answers.
/// </summary>
/// <param name="Actor">A key's id, <c>local</c> for the user of a loopback address, <c>peer</c> for a process at a cell's port, or <c>system</c>.</param>
/// <param name="Action">A closed set: <c>generation</c>, <c>refusal</c>, <c>plan</c>, <c>admin</c>, <c>log</c>.</param>
public sealed record AuditRecord(DateTimeOffset Time, string Actor, string? Tenant, string Action, string Result)
{
    /// <summary>What it was done to or asked for: a route, a name, an id.</summary>
    public string? Target { get; init; }

    public string? Model { get; init; }

    /// <summary>Of the model's file.</summary>
    public string? Digest { get; init; }

    /// <summary>Of the plan that computed it.</summary>
    public int? Epoch { get; init; }
    public long? PromptTokens { get; init; }
    public long? GeneratedTokens { get; init; }

    /// <summary>Records like this one that were left out since the last one, because there were too many.</summary>
    public long? Suppressed { get; init; }

    /// <summary>One line of JSON.</summary>
    internal byte[] ToJson(long number) => JsonBody.Of(json =>
    {
        json.WriteStartObject();
        json.WriteNumber("number", number);
        json.WriteString("time", Time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));
        json.WriteString("actor", Actor);
        Write(json, "tenant", Tenant);
        json.WriteString("action", Action);
        json.WriteString("result", Result);
        Write(json, "target", Target);
        Write(json, "model", Model);
        Write(json, "digest", Digest);
        Write(json, "epoch", Epoch);
        Write(json, "prompt_tokens", PromptTokens);
        Write(json, "generated_tokens", GeneratedTokens);
        Write(json, "suppressed", Suppressed);
        json.WriteEndObject();
    });

    private static void Write(Utf8JsonWriter json, string name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    private static void Write(Utf8JsonWriter json, string name, long? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
    }
}
