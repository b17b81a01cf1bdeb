// A chat on the console through IChatClient: type a line, read the answer as it comes; an empty line ends it.
//   LAMINA_URL=http://127.0.0.1:8080 dotnet run
using Lamina.Client;
using Microsoft.Extensions.AI;

using var client = new LaminaClient(new LaminaClientOptions
{
    Endpoint = new Uri(Environment.GetEnvironmentVariable("LAMINA_URL") ?? "http://127.0.0.1:8080"),
    ApiKey = Environment.GetEnvironmentVariable("LAMINA_KEY"),
});
string model = (await client.ListModelsAsync())[0].Id;
IChatClient chat = client.AsChatClient(model);
var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 256 };
var conversation = new List<ChatMessage>();
while (Console.ReadLine() is { Length: > 0 } line)
{
    conversation.Add(new ChatMessage(ChatRole.User, line));
    var updates = new List<ChatResponseUpdate>();
    try
    {
        await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync(conversation, options))
        {
            Console.Write(update.Text);
            updates.Add(update);
        }
    }
    catch (LaminaException e)
    {
        Console.Error.WriteLine(e.Message);
        return 1;
    }

    Console.WriteLine();
    conversation.AddMessages(updates);
}

return 0;
