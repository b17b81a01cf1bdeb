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

    public static Crossing NotTried(string from, string into, string what, string why) => new(from, into, what, NotTriedResult, why);

    public override string ToString() => $"{(Result == CrossedResult ? "CROSSED" : Result),-9} {From,-12} -> {Into,-12} {What}: {Detail}";

    public static string ToJson(IReadOnlyList<Crossing> crossings) => JsonSerializer.Serialize(new CrossingReport(crossings.All(crossing => crossing.Result != CrossedResult), crossings), CrossingJson.Default.CrossingReport);
}

internal sealed record CrossingReport(bool Isolated, IReadOnlyList<Crossing> Crossings);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(CrossingReport))]
internal sealed partial class CrossingJson : JsonSerializerContext;
