using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Cli.Isolation;

/// <summary>One attempt to cross a border, and what became of it.</summary>
/// <param name="From">Who tried: a tenant, or a stranger.</param>
/// <param name="Into">Whose border it was.</param>
/// <param name="Result"><c>held</c>, <c>crossed</c>, or <c>not tried</c> with the reason in the detail.</param>
internal sealed record Crossing(string From, string Into, string What, string Result, string Detail)
{
    public const string HeldResult = "held", CrossedResult = "crossed", NotTriedResult = "not tried";

    public static Crossing Held(string from, string into, string what, string detail) => new(from, into, what, HeldResult, detail);

    public static Crossing Crossed(string from, string into, string what, string detail) => new(from, into, what, CrossedResult, detail);

    /// <summary>Whether something that was named to be tried could not be: then the report shows nothing about it, and is no good report.</summary>
    [JsonIgnore]
    public bool IsUnproven { get; private init; }

    /// <summary>Not tried, although it was asked for.</summary>
    public static Crossing Unproven(string from, string into, string what, string why) => new(from, into, what, NotTriedResult, why) { IsUnproven = true };

    public static Crossing NotTried(string from, string into, string what, string why) => new(from, into, what, NotTriedResult, why);

    public override string ToString() => $"{(Result == CrossedResult ? "CROSSED" : Result),-9} {From,-12} -> {Into,-12} {What}: {Detail}";

    /// <summary>Nothing crossed, all that was named was tried, and not only modes of files were looked at.</summary>
    public static bool IsIsolated(IReadOnlyList<Crossing> crossings) =>
        crossings.All(crossing => crossing.Result != CrossedResult && !crossing.IsUnproven) && crossings.Any(crossing => crossing.Result == HeldResult && crossing.From != FileCrossings.Others);

    public static string ToJson(IReadOnlyList<Crossing> crossings) => JsonSerializer.Serialize(new CrossingReport(IsIsolated(crossings), crossings.Count(crossing => crossing.IsUnproven), crossings), CrossingJson.Default.CrossingReport);
}

internal sealed record CrossingReport(bool Isolated, int Unproven, IReadOnlyList<Crossing> Crossings);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(CrossingReport))]
internal sealed partial class CrossingJson : JsonSerializerContext;
