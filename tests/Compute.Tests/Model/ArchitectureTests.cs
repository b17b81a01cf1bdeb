using Lamina.Compute.Gguf;
using Lamina.Compute.Model;
using Lamina.Compute.Model.Architectures;
using Lamina.TestSupport;

namespace Lamina.Compute.Tests.Model;

public sealed class ArchitectureTests
{
    public static TheoryData<string> Names => [.. ArchitectureCases.All.Select(test => test.ToString())];

    [Fact]
    public void Cases_TakenTogether_CoverEveryArchitecture() =>
        Assert.Equal(ArchitectureList.Names.Order(), ArchitectureCases.All.Concat(ArchitectureCases.Encoders).Select(test => test.Architecture).Distinct().Order());

    [Fact]
    public void Documentation_NamesEveryArchitectureAndNoOther()
    {
        string table = File.ReadAllText(Repository.File("docs/models.md")).Split("## Architectures")[1].Split("## Adapters")[0];
        string[] named = [.. System.Text.RegularExpressions.Regex.Matches(string.Join('\n', table.Split('\n').Where(line => line.StartsWith('|'))), "`([^`]+)`").Select(match => match.Groups[1].Value)];
        Assert.Equal(ArchitectureList.Names.Order(StringComparer.Ordinal), named.Order(StringComparer.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Architecture_InPiecesOrWhole_GivesTheSameBits(string name)
    {
        ArchitectureCase test = ArchitectureCases.All.Single(test => test.ToString() == name);
        using var model = new RandomModel(ArchitectureCases.Metadata(test, layers: 3), _ => GgmlType.F16, test.Optional);
        Assert.Empty(model.Shape.UnknownTensors(model.File.Tensors.Select(tensor => tensor.Name)));

        int[] tokens = [.. Enumerable.Range(0, 40).Select(i => i * 11 % 256)];
        var options = new StageOptions { ContextLength = 64, KvBlocks = 2, MaxBatchRows = 64, MaxSequences = 1 };
        using var whole = new Sequence(model.File, model.Shape, options);
        float[] expected = whole.Feed(tokens).ToArray();
        Assert.All(expected, logit => Assert.True(float.IsFinite(logit)));
        Assert.True(expected.Max() > expected.Min());

        using var pieces = new Sequence(model.File, model.Shape, options with { Threads = 2 }, stages: 3);
        pieces.Feed(tokens[..13]);
        pieces.Feed(tokens[13..39]);
        Assert.Equal(expected, pieces.Feed(tokens[39]).ToArray());
    }

    [Fact]
    public void Architecture_Unknown_IsRefusedByName()
    {
        GgufMetadata metadata = RandomModel.Llama(1, "rwkv7").Build();
        string message = Assert.Throws<NotSupportedException>(() => ModelShape.FromGguf(metadata)).Message;
        Assert.Contains("'rwkv7'", message);
        Assert.Contains("llama", message);
    }
}
