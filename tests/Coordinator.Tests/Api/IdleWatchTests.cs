using Lamina.Coordinator.Api;
using Lamina.Coordinator.Tests.Support;
using Microsoft.AspNetCore.Http;

namespace Lamina.Coordinator.Tests.Api;

/// <summary>When a server says that nothing is under way, by a clock of the test's own.</summary>
public sealed class IdleWatchTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public async Task Idled_AfterARequest_IsRaisedAfterTwoSecondsAndFourTimesMore()
    {
        using IdleWatch watch = Watch(out List<DateTimeOffset> told);
        DateTimeOffset end = _time.GetUtcNow();
        await AskAsync(watch, "POST", "/tokenize");

        for (int second = 0; second < 600; second++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal([2, 32, 62, 92, 122], told.Select(moment => (moment - end).TotalSeconds));
    }

    [Fact]
    public async Task Idled_WhileAnotherRequestIsUnderWay_Waits()
    {
        using IdleWatch watch = Watch(out List<DateTimeOffset> told);
        var answered = new TaskCompletionSource();
        Task running = AskAsync(watch, "POST", "/v1/completions", answered.Task);
        await AskAsync(watch, "POST", "/v1/completions");
        _time.Advance(TimeSpan.FromMinutes(1));
        Assert.Empty(told);

        answered.SetResult();
        await running;
        _time.Advance(TimeSpan.FromSeconds(1.9));
        Assert.Empty(told);
        _time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Single(told);
    }

    [Fact]
    public async Task Idled_AfterWhoOnlyWatches_IsNotRaised()
    {
        using IdleWatch watch = Watch(out List<DateTimeOffset> told);
        await AskAsync(watch, "GET", "/metrics");

        _time.Advance(TimeSpan.FromMinutes(10));

        Assert.Empty(told);
    }

    private IdleWatch Watch(out List<DateTimeOffset> told)
    {
        var watch = new IdleWatch(_time);
        List<DateTimeOffset> moments = told = [];
        watch.Idled += () => moments.Add(_time.GetUtcNow());
        return watch;
    }

    private static Task AskAsync(IdleWatch watch, string method, string path, Task? answered = null)
    {
        var context = new DefaultHttpContext { Request = { Method = method, Path = path } };
        return watch.InvokeAsync(context, _ => answered ?? Task.CompletedTask);
    }
}
