// An Akka.NET program that asks several questions at once and takes the answers in pieces, at its own pace.
//   LAMINA_URL=http://127.0.0.1:8080 dotnet run
using Akka.Actor;
using Akka.Hosting;
using Lamina.Client;
using Lamina.Client.Actors;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

var endpoint = new Uri(Environment.GetEnvironmentVariable("LAMINA_URL") ?? "http://127.0.0.1:8080");
string model;
using (var client = new LaminaClient(new LaminaClientOptions { Endpoint = endpoint }))
{
    model = (await client.ListModelsAsync())[0].Id;
}

// Name several coordinators, and the same actor spreads generations over those that are healthy.
using IHost host = new HostBuilder()
    .ConfigureServices(services => services.AddAkka("sample", akka => akka.WithLaminaClient(new LaminaClientOptions { Endpoint = endpoint })))
    .Build();
await host.StartAsync();
IActorRef lamina = await host.Services.GetRequiredService<IRequiredActor<InferenceClient>>().GetAsync();
var system = host.Services.GetRequiredService<ActorSystem>();
string[] questions = ["What is 27 + 15?", "What is the capital of Norway?", "What is the opposite of hot?"];
Task<string>[] answers = [.. questions.Select(question =>
{
    var answer = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
    system.ActorOf(Props.Create(() => new Reader(lamina, model, question, answer)));
    return answer.Task;
})];
for (int i = 0; i < questions.Length; i++)
{
    Console.WriteLine($"{questions[i]} {await answers[i]}");
}

await host.StopAsync();

/// <summary>Asks one question and reads its answer, a few pieces at a time: while it has asked for none, the server waits.</summary>
internal sealed class Reader : ReceiveActor
{
    private const int Batch = 4;

    private string _text = "";
    private int _unread = Batch;

    public Reader(IActorRef lamina, string model, string question, TaskCompletionSource<string> answer)
    {
        var id = new RequestId(Self.Path.Name);
        Receive<InferenceEvents.GenerationStarted>(_ => { });
        Receive<InferenceEvents.TokensGenerated>(tokens =>
        {
            _text += tokens.Text;
            if (--_unread == 0)
            {
                _unread = Batch;
                lamina.Tell(new InferenceCommands.Demand(id, Batch));
            }
        });
        Receive<InferenceEvents.GenerationCompleted>(_ =>
        {
            answer.TrySetResult(_text);
            Context.Stop(Self);
        });
        Receive<InferenceEvents.GenerationFailed>(failed =>
        {
            answer.TrySetException(failed.Reason);
            Context.Stop(Self);
        });
        lamina.Tell(new InferenceCommands.Generate(id, new ChatRequest { Model = model, Messages = [Message.User(question)], Temperature = 0 }, Batch, Self));
    }
}
