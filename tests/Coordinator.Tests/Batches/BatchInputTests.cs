using System.Text;
using Lamina.Coordinator.Batches;

namespace Lamina.Coordinator.Tests.Batches;

public class BatchInputTests
{
    private const string Endpoint = "/v1/chat/completions";

    private static string Line(string id) => $$"""{"body":{"model":"m"},"custom_id":"{{id}}","method":"POST","url":"/v1/chat/completions"}""";

    [Theory]
    [InlineData("\n")]
    [InlineData("\r\n")]
    [InlineData("\n\n  \n")]
    public async Task Read_LineEnds_FindsEveryRequestWhereItLies(string end)
    {
        byte[] file = Encoding.UTF8.GetBytes("\uFEFF" + Line("first") + end + Line("sécond") + end + Line("third"));
        (IReadOnlyList<BatchLine> lines, IReadOnlyList<BatchProblem> problems) = await ReadAsync(file);
        Assert.Empty(problems);
        Assert.Equal(["first", "sécond", "third"], lines.Select(line => line.CustomId));
        Assert.Equal([Line("first"), Line("sécond"), Line("third")], lines.Select(line => Encoding.UTF8.GetString(file, (int)line.Offset, line.Length)));
    }

    [Theory]
    [InlineData("", "empty_file", null)]
    [InlineData("\n\n", "empty_file", null)]
    [InlineData("{", "invalid_json_line", 1)]
    [InlineData("[]", "invalid_json_line", 1)]
    [InlineData("""{"custom_id":"a","method":"GET","url":"/v1/chat/completions","body":{}}""", "invalid_method", 1)]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/completions","body":{}}""", "mismatched_url", 1)]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":[]}""", "invalid_body", 1)]
    [InlineData("""{"custom_id":7,"method":"POST","url":"/v1/chat/completions","body":{}}""", "invalid_custom_id", 1)]
    [InlineData("""{"custom_id":"","method":"POST","url":"/v1/chat/completions","body":{}}""", "invalid_custom_id", 1)]
    [InlineData("""{"method":"POST","url":"/v1/chat/completions","body":{}}""", "missing_required_parameter", 1)]
    [InlineData("""{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{},"more":1}""", "unknown_parameter", 1)]
    [InlineData("""{"custom_id":"a","custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{}}""", "duplicate_field", 1)]
    [InlineData("""{"custom_id":"\ud800","method":"POST","url":"/v1/chat/completions","body":{}}""", "invalid_json_line", 1)]
    public async Task Read_WrongFile_NamesTheProblemAndItsLine(string file, string code, int? line)
    {
        (IReadOnlyList<BatchLine> lines, IReadOnlyList<BatchProblem> problems) = await ReadAsync(Encoding.UTF8.GetBytes(file));
        Assert.Empty(lines);
        Assert.Equal((code, line), (problems[0].Code, problems[0].Line));
    }

    [Fact]
    public async Task Read_SameIdTwice_NamesTheSecondLine()
    {
        (_, IReadOnlyList<BatchProblem> problems) = await ReadAsync(Encoding.UTF8.GetBytes($"{Line("a")}\n{Line("b")}\n{Line("a")}\n"));
        Assert.Equal(("duplicate_custom_id", 3), (problems.Single().Code, problems.Single().Line));
    }

    [Fact]
    public async Task Read_MoreThanAllowed_Refuses()
    {
        (_, IReadOnlyList<BatchProblem> problems) = await ReadAsync(Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(0, 4).Select(i => Line($"{i}")))), maxRequests: 3);
        Assert.Equal("too_many_requests", problems.Single().Code);
    }

    [Fact]
    public async Task Read_LineOfFiveMebibytes_Refuses()
    {
        (_, IReadOnlyList<BatchProblem> problems) = await ReadAsync(Encoding.UTF8.GetBytes(Line("a") + "\n" + new string(' ', 9 << 20)));
        Assert.Equal(("line_too_long", 2), (problems.Single().Code, problems.Single().Line));
    }

    private static Task<(IReadOnlyList<BatchLine> Lines, IReadOnlyList<BatchProblem> Problems)> ReadAsync(byte[] file, int maxRequests = 1000) =>
        BatchInput.ReadAsync(new MemoryStream(file), Endpoint, maxRequests, CancellationToken.None);
}
