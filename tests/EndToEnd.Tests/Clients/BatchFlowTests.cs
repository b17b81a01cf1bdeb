using System.Collections.Concurrent;
using System.Diagnostics;
using Akka.Actor;
using Akka.Streams;
using Akka.Streams.Dsl;
using Lamina.Client;
using Lamina.Client.Streams;

namespace Lamina.EndToEnd.Tests.Clients;

/// <summary>Many prompts through Akka.Streams while a node of the pipeline is killed. 300 of them; 10,000 with LAMINA_TEST_LONG=1.</summary>
public sealed class BatchFlowTests(ITestOutputHelper output)
{
    private const int Parallelism = 48;

    private static readonly int s_prompts = Environment.GetEnvironmentVariable("LAMINA_TEST_LONG") == "1" ? 10_000 : 300;

    [Fact]
    public async Task ChatFlow_NodeKilledOnTheWay_EveryPromptIsAnsweredOnceInOrder()
    {
        using ConfiguredCell cell = await ConfiguredCell.StartAsync(nodes: 3, plannedNodes: 2);
        using var client = new LaminaClient(new LaminaClientOptions { Endpoint = cell.Http.BaseAddress!, MaxRetries = 20, MaxRetryDelay = TimeSpan.FromSeconds(2), ResponseTimeout = TimeSpan.FromMinutes(5) });
        using ActorSystem system = ActorSystem.Create("batch", "akka.loglevel = WARNING");
        var generations = new ConcurrentDictionary<string, int>();
        int answered = 0;
        int inFlight = 0;
        int most = 0;
        long start = Stopwatch.GetTimestamp();
        Task<IEnumerable<BatchAnswer<int>>> running = Source.From(Enumerable.Range(0, s_prompts))
            .Select(i =>
            {
                most = Math.Max(most, Interlocked.Increment(ref inFlight));
                return new BatchPrompt<int>(i, new ChatRequest { Model = ServedModel.ModelName, Messages = [Message.User($"What is {10 + (i % 50)} + {11 + (i / 50 % 9)}?")], Temperature = 0, MaxTokens = 32 });
            })
            .Via(client.ChatFlow<int>(Parallelism))
            .Select(answer =>
            {
                Interlocked.Decrement(ref inFlight);
                Interlocked.Increment(ref answered);
                return answer;
            })
            .RunWith(Sink.Seq<BatchAnswer<int>>(), system.Materializer())
            .ContinueWith(task => (IEnumerable<BatchAnswer<int>>)task.Result, TaskScheduler.Default);
        while (Volatile.Read(ref answered) < s_prompts / 3)
        {
            await Task.Delay(5);
        }

        CellStatus before = await cell.StatusAsync();
        await cell.KillAsync(before.Stages[1]);
        int killedAt = Volatile.Read(ref answered);
        BatchAnswer<int>[] answers = [.. await running.WaitAsync(TimeSpan.FromMinutes(9))];
        CellStatus after = await cell.StatusAsync();
        output.WriteLine($"{answers.Length} prompts in {Stopwatch.GetElapsedTime(start).TotalSeconds:0.0} s, a node killed after {killedAt} answers, epoch {before.Epoch} to {after.Epoch}, at most {most} under way");

        Assert.InRange(killedAt, 1, s_prompts - 1);
        Assert.True(after.Epoch > before.Epoch);
        Assert.Equal(Enumerable.Range(0, s_prompts), answers.Select(answer => answer.Key));
        Assert.All(answers, answer =>
        {
            Assert.Null(answer.Failure);
            int a = 10 + (answer.Key % 50);
            int b = 11 + (answer.Key / 50 % 9);
            Assert.Equal($"{a} + {b} = {a + b}.", answer.Completion!.Text);
            Assert.True(generations.TryAdd(answer.Completion.Id, answer.Key), "two prompts got one generation's answer");
        });
        Assert.InRange(most, 2, Parallelism + 20);
        await system.Terminate();
    }
}
