using Lamina.Cluster.Messages;
using Lamina.Coordinator.Api;
using Lamina.Coordinator.Api.Resumption;
using Lamina.Coordinator.Tests.Support;

namespace Lamina.Coordinator.Tests.Api.Resumption;

/// <summary>What is kept of other coordinators' answers, and for whom.</summary>
public sealed class MirroredAnswersTests
{
    private static readonly Caller s_alice = new(new TenantId("acme"), "alice");
    private static readonly Caller s_bob = new(new TenantId("acme"), "bob");

    private readonly ManualTime _time = new();
    private readonly MirroredAnswers _answers;
    private readonly object _first = new(), _second = new();

    public MirroredAnswersTests() => _answers = new MirroredAnswers(new ResumptionOptions { RetentionSeconds = 100, GraceSeconds = 10, BytesPerTenant = 5000 }, _time);

    [Fact]
    public void Answer_OfACaller_IsFoundByThatCallerAlone()
    {
        Assert.True(_answers.Keep("front-1", _first, Request("a", "alice")));

        Assert.Equal("front-1", _answers.Find(s_alice, "a")!.Holder);
        Assert.Equal("a", _answers.FindRepeated(s_alice, "repeat-a")!.Request.Id);
        Assert.Null(_answers.Find(s_bob, "a"));
        Assert.Null(_answers.FindRepeated(s_bob, "repeat-a"));
        Assert.Null(_answers.Find(new Caller(new TenantId("acme"), null), "a"));
    }

    [Fact]
    public void Progress_ThatFollows_IsGoneOnWithUnderTheNextTerm()
    {
        _answers.Keep("front-1", _first, Request("a", "alice", term: 4));
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a", 0, 0, [1, 2]));
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a", 1, 0, [7]));
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a", 0, 2, [3]));

        // A gap, a repetition, another link, a choice that there cannot be.
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a", 0, 4, [9]));
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a", 0, 0, [9]));
        _answers.Add(_second, new MirrorProtocol.AnswerProgress("a", 0, 3, [9]));
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a", int.MaxValue, 0, [9]));

        KeptRequest request = _answers.Continue(_answers.Find(s_alice, "a")!)!;
        Assert.Equal(5, request.Term);
        Assert.Equal([1, 2, 3], request.Course.TokensOf(0));
        Assert.Equal([7], request.Course.TokensOf(1));
        Assert.Equal(new byte[100], request.Body.ToArray());
    }

    [Fact]
    public void Answer_OfTwoHolders_IsThatOfTheLaterTerm()
    {
        _answers.Keep("front-1", _first, Request("a", "alice"));

        Assert.False(_answers.Keep("front-2", _second, Request("a", "alice")), "the same term, and a name behind the other's");
        Assert.True(_answers.Keep("front-2", _second, Request("a", "alice", term: 1)));
        Assert.False(_answers.Keep("front-1", _first, Request("a", "alice")));
        _answers.Release(_first, "a");
        Assert.Equal("front-2", _answers.Find(s_alice, "a")!.Holder);
    }

    [Fact]
    public void Answer_WhoseHolderFellSilent_IsKeptForItsTime()
    {
        _answers.Keep("front-1", _first, Request("a", "alice"));
        _time.Advance(TimeSpan.FromSeconds(1000));
        Assert.NotNull(_answers.Find(s_alice, "a"));

        _answers.Lose(_first);
        _time.Advance(TimeSpan.FromSeconds(110));
        Assert.NotNull(_answers.Find(s_alice, "a"));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(_answers.Find(s_alice, "a"));
        Assert.Equal(0, _answers.Bytes);
    }

    [Fact]
    public void Answers_BeyondTheBytes_AreRefusedUntilOneOfALostHolderCanGo()
    {
        // 100 bytes of body and 1024 for what comes along, each.
        for (int i = 0; i < 4; i++)
        {
            Assert.True(_answers.Keep("front-1", i == 0 ? _second : _first, Request($"a{i}", "alice")));
        }

        Assert.False(_answers.Keep("front-1", _first, Request("a4", "alice")));
        Assert.Equal(4 * 1124, _answers.Bytes);
        _answers.Add(_first, new MirrorProtocol.AnswerProgress("a1", 0, 0, new int[1000]));
        Assert.Equal(4 * 1124, _answers.Bytes);

        _answers.Lose(_second);
        Assert.True(_answers.Keep("front-1", _first, Request("a4", "alice")));
        Assert.Null(_answers.Find(s_alice, "a0"));
        Assert.Equal(4 * 1124, _answers.Bytes);
    }

    [Fact]
    public void Answer_Forgotten_IsClearedInMemory()
    {
        MirrorProtocol.KeepAnswer request = Request("a", "alice") with { Body = [1, 2, 3] };
        _answers.Keep("front-1", _first, request);
        MirroredAnswer answer = _answers.Find(s_alice, "a")!;
        _answers.DropOf("alice");

        Assert.Equal([0, 0, 0], request.Body);
        Assert.Null(_answers.Continue(answer));
    }

    private static MirrorProtocol.KeepAnswer Request(string id, string key, int term = 0) =>
        new(id, term, key, $"repeat-{id}", "/v1/chat/completions", new byte[100], Guid.Empty.ToString("n"), true, false, 1, null);
}
